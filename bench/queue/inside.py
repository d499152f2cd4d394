"""One row in a separate process: ``python -m bench.queue.inside MODULE FUNCTION``."""

from __future__ import annotations

import json
import sys
from importlib import import_module

import django


def main(module: str, function: str) -> None:
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    value = getattr(import_module(f"bench.queue.{module}"), function)()
    print(json.dumps(value))


if __name__ == "__main__":
    main(*sys.argv[1:])
