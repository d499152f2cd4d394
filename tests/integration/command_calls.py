"""Commands as tests call them: what they print, or why they refuse."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command


def call(name: str, *args: Any, **options: Any) -> str:
    out = StringIO()
    call_command(name, *args, stdout=out, **options)
    return out.getvalue()


def call_json(name: str, *args: Any, **options: Any) -> dict[str, Any]:
    """The one JSON object on stdout; anything beside it makes this fail."""
    return dict(json.loads(call(name, *args, json=True, **options)))


def refused(name: str, *args: Any, **options: Any) -> str:
    """The sentence of a command that refuses its input with exit code 2."""
    with pytest.raises(CommandError) as caught:
        call(name, *args, **options)
    assert caught.value.returncode == 2
    return str(caught.value)


def failed(name: str, *args: Any, **options: Any) -> str:
    """The sentence of a command that was rightly asked and could not do it: exit code 1."""
    with pytest.raises(CommandError) as caught:
        call(name, *args, **options)
    assert caught.value.returncode == 1
    return str(caught.value)
