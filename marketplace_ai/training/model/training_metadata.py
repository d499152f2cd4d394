"""Training metadata: the file in a trained directory that says what it was trained from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FILE_NAME = "training.json"
#: Ours has two or three kB; a larger file of that name comes from another program.
_MAX_BYTES = 1 << 16


def write(directory: Path, metadata: dict[str, Any]) -> None:
    """Write the metadata into a directory of a model."""
    text = json.dumps(metadata, indent=1, ensure_ascii=False)
    (directory / FILE_NAME).write_text(text + "\n", encoding="utf-8")


def read(source: str) -> dict[str, Any]:
    """The metadata of a directory; empty if ``source`` is not one that ``train`` wrote."""
    file = Path(source).expanduser() / FILE_NAME
    try:
        if file.stat().st_size > _MAX_BYTES:
            return {}
        metadata = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return metadata if isinstance(metadata, dict) else {}
