"""Confused categories: which label was taken for which other, and how often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from marketplace_ai.text.category_cells import NONE


@dataclass(frozen=True, slots=True)
class ConfusedPair:
    """``n`` of the ``of`` rows labeled ``label`` were given ``given`` instead."""

    label: str
    given: str
    n: int
    of: int

    @property
    def share(self) -> float:
        return self.n / self.of


def confused_pairs(
    true_labels: Sequence[Sequence[str]], given: Sequence[str | None]
) -> list[ConfusedPair]:
    """All pairs, most often first.

    A row with several right labels counts for the first; "none" stands for itself on both sides.
    """
    right = [tuple(labels) or (NONE,) for labels in true_labels]
    first = [label or NONE for label in given]
    of = Counter(labels[0] for labels in right)
    pairs = Counter(
        (labels[0], label)
        for labels, label in zip(right, first, strict=True)
        if label not in labels
    )
    ranked = sorted(pairs.items(), key=lambda item: (-item[1], item[0]))
    return [ConfusedPair(label, other, n, of[label]) for (label, other), n in ranked]
