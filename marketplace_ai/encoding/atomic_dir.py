"""Directories that are written completely before they appear under their name.

Readers see the old directory or the new one, never half of one.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def staged_dir(target: Path, *, prefix: str | None = None) -> Iterator[Path]:
    """A new, empty directory that replaces ``target`` when the block ends without an error.

    It is made next to ``target``, on the same disk, and deleted if the block raises. A killed
    process leaves it there, under a name that begins with ``prefix`` (by default
    ``.NAME-building-``). Parents of ``target`` are created.

    >>> with staged_dir(output) as building:
    ...     (building / "config.json").write_text("{}")
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    made = tempfile.mkdtemp(prefix=prefix or f".{target.name}-building-", dir=target.parent)
    building = Path(made)
    try:
        building.chmod(0o755)  # mkdtemp's 0o700 would hide it from other users
        yield building
        replace_dir(building, target)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise


def replace_dir(source: Path, target: Path) -> None:
    """Move ``source`` to ``target``, on the same disk, and delete what was there before.

    If the move fails, the former directory is put back. A kill between the two renames leaves
    both next to ``target``, the former one as ``.NAME.replaced``.
    """
    replaced = target.with_name(f".{target.name}.replaced")
    if target.exists():
        shutil.rmtree(replaced, ignore_errors=True)
        target.rename(replaced)
    try:
        source.rename(target)
    except BaseException:
        if replaced.exists():
            replaced.rename(target)
        raise
    shutil.rmtree(replaced, ignore_errors=True)
