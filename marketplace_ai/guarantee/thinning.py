"""Thinning: of rows drawn with different known probabilities, a sample of equal ones.

While the share that is audited is 20%, a posting is ten times as likely to be drawn as at 2%, so
raw counts are about the time of the higher share. A bound for weighted rows (Horvitz and Thompson
1952) is not exact and one for each share apart (a union bound) is wide. Thinning keeps each row
with the lowest probability divided by its own (rejection sampling, von Neumann 1951): all postings
are then in the sample with the same probability, independently of each other, and exact binomial
bounds hold as for any random sample. What it leaves out teaches; it is only not counted.

A short time of a tiny share, as during a backfill of old postings, would leave next to nothing of
all other answers. So the sample is about the postings since some moment: the one that keeps the
most rows. It is chosen by probabilities alone, never by an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

#: Part of what is hashed, so that the choice is independent of the draw, which hashes keys too.
SEED = "marketplace_ai.thinning"
_BITS = 64


def thin(keys: Sequence[str], probabilities: Sequence[float]) -> list[bool]:
    """Which rows are kept, so that each was drawn with the lowest of the ``probabilities``.

    The choice hangs on ``keys`` and probabilities alone, never on an answer, and is the same every
    time. Raises ValueError for a probability outside (0, 1].

    >>> thin(["a", "b"], [0.02, 0.02])
    [True, True]
    """
    if not all(0 < probability <= 1 for probability in probabilities):
        raise ValueError("a draw probability must be above 0 and at most 1")
    lowest = min(probabilities, default=1.0)
    return [
        _uniform(key) < lowest / probability
        for key, probability in zip(keys, probabilities, strict=True)
    ]


def start_of_sample(probabilities: Sequence[float]) -> int:
    """From which row on ``thin`` is expected to keep the most, in the order of the draw; the first
    such row.

    >>> start_of_sample([0.001, 0.01, 0.01]), start_of_sample([0.2, 0.02, 0.02])
    (1, 0)
    """
    start, most = 0, 0.0
    lowest, postings = 1.0, 0.0
    for row in reversed(range(len(probabilities))):
        lowest = min(lowest, probabilities[row])
        postings += 1 / probabilities[row]
        # Equal numbers that were added up in another order are equal.
        if lowest * postings >= most * (1 - 1e-9):
            start, most = row, lowest * postings
    return start


def _uniform(key: str) -> float:
    """A number in [0, 1) that is the key's own."""
    value = sha256(f"{SEED}:{key}".encode()).digest()
    return int.from_bytes(value[: _BITS // 8], "big") / float(2**_BITS)
