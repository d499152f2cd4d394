"""The leak check: no held-out text, nor another of its family, is in a training file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from .mining import MinedDataset
from .row_files import (
    PAIRS_FILE,
    SCORED_FILE,
    TEST_TRIPLETS_FILE,
    TRIPLETS_FILE,
    read_pairs,
    read_scored,
    read_triplets,
)


class LeakError(Exception):
    """A held-out text, or another of its family, is in a training file."""


def check_leaks(directory: Path, dataset: MinedDataset) -> int:
    """Compare the training files as written with all held-out texts; the number of texts compared.

    Raises LeakError.
    """
    corpus = dataset.corpus
    group = dict(zip(corpus.texts, dataset.groups.tolist(), strict=True))
    held_out = {
        text for text, is_out in zip(corpus.texts, dataset.held_out, strict=True) if is_out
    } | _texts(directory, (TEST_TRIPLETS_FILE,))
    training = _texts(directory, (TRIPLETS_FILE, PAIRS_FILE, SCORED_FILE))
    held_out_groups = {group.get(text) for text in held_out}
    for text in sorted(training):
        # Nothing is known about a text that is not in the corpus.
        if text in held_out or text not in group or group[text] in held_out_groups:
            raise LeakError(
                "A training file contains this text, and it or another text of its family is held "
                f"out: {text[:80]!r}. Nothing was written; this is a bug in mine_training_data, "
                "please report it."
            )
    return len(training) + len(held_out)


def _texts(directory: Path, names: Iterable[str]) -> set[str]:
    texts: set[str] = set()
    for name in names:
        path = directory / name
        if not path.stat().st_size:
            continue  # no rows could be mined, and the data card says why
        if name == SCORED_FILE:
            texts |= {text for scored in read_scored(path) for text in scored[:2]}
        elif name == PAIRS_FILE:
            texts |= {text for pair in read_pairs(path) for text in pair[:2]}
        else:
            texts |= {text for triplet in read_triplets(path) for text in triplet[:3]}
    return texts
