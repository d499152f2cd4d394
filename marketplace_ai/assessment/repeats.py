"""Texts that say the same again, and those of them that have several labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Repeats:
    """``rows`` are near-duplicates of another row, in ``groups``; the ``largest`` has so many rows,
    and ``text`` is its first. ``several_labels`` groups have rows with different labels."""

    rows: int
    groups: int
    largest: int
    text: str
    several_labels: int


def find_repeats(
    groups: npt.NDArray[np.intp], texts: Sequence[str], labels: Sequence[str | None]
) -> Repeats:
    """Count the near-duplicates; ``groups`` (n,) are equal for those of one text."""
    sizes = Counter(groups.tolist())
    repeated = {group: size for group, size in sizes.items() if size > 1}
    said: dict[int, set[str | None]] = {group: set() for group in repeated}
    for group, label in zip(groups.tolist(), labels, strict=True):
        if group in said:
            said[group].add(label)
    largest = max(repeated, key=lambda group: repeated[group], default=-1)
    return Repeats(
        sum(repeated.values()),
        len(repeated),
        repeated.get(largest, 0),
        texts[groups.tolist().index(largest)] if repeated else "",
        sum(len(labels) > 1 for labels in said.values()),
    )
