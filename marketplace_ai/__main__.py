"""``python -m marketplace_ai assess FILE``: the commands that need a file alone, without a project.

Where DJANGO_SETTINGS_MODULE names a project, its settings are used.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

COMMANDS = ("assess", "evaluate_classifier")
PROGRAM = "python -m marketplace_ai"


def main(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code; 2 for anything that is no such command."""
    if not arguments or arguments[0] not in COMMANDS:
        print(
            f"{PROGRAM} runs {' and '.join(COMMANDS)}, as {PROGRAM} assess postings.csv; all "
            "other commands need a project and its manage.py.",
            file=sys.stderr,
        )
        return 2
    has_project = "DJANGO_SETTINGS_MODULE" in os.environ
    if "--from-jobs" in arguments and not has_project:
        print(
            "--from-jobs reads the database of a project: run its manage.py assess --from-jobs, or "
            "name a file of texts and categories.",
            file=sys.stderr,
        )
        return 2
    import django
    from django.conf import settings
    from django.core.management import ManagementUtility

    if not has_project:
        settings.configure(
            INSTALLED_APPS=[
                "django.contrib.contenttypes",
                "django.contrib.auth",
                "django.contrib.postgres",
                "marketplace_ai",
            ],
            USE_TZ=True,
        )
    django.setup()
    ManagementUtility([PROGRAM, *arguments]).execute()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
