"""Whether anything that is held out can be learnt from: asked of the files as they were written."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from .datasets import (
    PAIRS_FILE,
    SCORED_FILE,
    TEST_TRIPLETS_FILE,
    TRIPLETS_FILE,
    read_pairs,
    read_scored,
    read_triplets,
)
from .mining import Mined


class LeakError(Exception):
    """A held-out text, or one that says nearly the same, stands in a training file."""


def check(folder: Path, mined: Mined) -> int:
    """Read the files of ``folder`` again, and compare every text of a training file with every
    one that is held out; how many texts were compared. Raises LeakError."""
    group = dict(zip(mined.rows.texts, mined.groups.tolist(), strict=True))
    held_out = {
        text for text, out in zip(mined.rows.texts, mined.held_out, strict=True) if out
    } | _texts(folder, (TEST_TRIPLETS_FILE,))
    learnt = _texts(folder, (TRIPLETS_FILE, PAIRS_FILE, SCORED_FILE))
    held_out_groups = {group.get(text) for text in held_out}
    for text in sorted(learnt):
        # A text that is not of the rows cannot be vouched for.
        if text in held_out or text not in group or group[text] in held_out_groups:
            raise LeakError(
                f"This text may be learnt from, and it, or one that says nearly the same, is "
                f"held out: {text[:80]!r}. Nothing was written; this is a defect of "
                "mine_training_data, please report it."
            )
    return len(learnt) + len(held_out)


def _texts(folder: Path, names: Iterable[str]) -> set[str]:
    texts: set[str] = set()
    for name in names:
        path = folder / name
        if not path.stat().st_size:
            continue  # nothing could be made, which the data card says
        if name == SCORED_FILE:
            texts |= {text for scored in read_scored(path) for text in scored[:2]}
        elif name == PAIRS_FILE:
            texts |= {text for pair in read_pairs(path) for text in pair[:2]}
        else:
            texts |= {text for triplet in read_triplets(path) for text in triplet[:3]}
    return texts
