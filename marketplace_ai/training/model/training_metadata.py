"""What a trained directory says of its training: a file beside the weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

NAME = "training.json"
#: A record has two or three kB; what is larger is none of ours.
_LARGEST = 1 << 16


def write(directory: Path, about: dict[str, Any]) -> None:
    text = json.dumps(about, indent=1, ensure_ascii=False)
    (directory / NAME).write_text(text + "\n", encoding="utf-8")


def read(source: str) -> dict[str, Any]:
    """The record of a directory; empty where ``source`` is none, or was not trained by us."""
    file = Path(source).expanduser() / NAME
    try:
        if file.stat().st_size > _LARGEST:
            return {}
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
