"""A folder that was built elsewhere comes to its place as a whole."""

from __future__ import annotations

import shutil
from pathlib import Path


def put(built: Path, place: Path) -> None:
    """Move ``built`` to ``place``, on the same disk, and delete what was there before.

    What was there comes back where the move does not succeed, however it ends; a kill between two
    renames leaves both beside the place, the older one as ``.NAME.replaced``.
    """
    replaced = place.with_name(f".{place.name}.replaced")
    if place.exists():
        shutil.rmtree(replaced, ignore_errors=True)
        place.rename(replaced)
    try:
        built.rename(place)
    except BaseException:
        if replaced.exists():
            replaced.rename(place)
        raise
    shutil.rmtree(replaced, ignore_errors=True)
