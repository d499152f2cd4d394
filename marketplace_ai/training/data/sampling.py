"""Sampling texts: without repeats, evenly over categories, reproducible by seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar("T")
Label = str | None
#: A range of at most this size is shuffled as a list.
_MAX_LISTED = 1 << 14


class TextPool:
    """The texts that may be sampled, by category: rows of ``labels`` and ``groups``."""

    def __init__(
        self,
        rows: npt.NDArray[np.intp],
        labels: Sequence[Label],
        groups: npt.NDArray[np.intp],
    ) -> None:
        self.groups = groups
        rows_by_label: dict[Label, list[int]] = {}
        for row in rows.tolist():
            rows_by_label.setdefault(labels[row], []).append(row)
        self.rows_by_label = {
            label: np.array(rows_by_label[label])
            for label in sorted(rows_by_label, key=lambda label: (label is None, label or ""))
        }

    @property
    def categories(self) -> list[str]:
        """All labels but None ("fits none")."""
        return [label for label in self.rows_by_label if label is not None]

    def are_distinct(self, *rows: int) -> bool:
        """Whether no two of these texts are of one family."""
        return len({int(self.groups[row]) for row in rows}) == len(rows)

    def pairs(self, label: Label, random: np.random.Generator) -> Iterator[tuple[int, int]]:
        """Each pair of distinct texts of the category, once, in random order and orientation."""
        rows = self.rows_by_label[label]
        for number in shuffled_range(len(rows) * (len(rows) - 1) // 2, random):
            pair = self._pair(rows, number)
            if pair is not None:
                yield pair if random.random() < 0.5 else pair[::-1]

    def ordered_pairs(self, label: Label, random: np.random.Generator) -> Iterator[tuple[int, int]]:
        """Like ``pairs``, but each pair in both orientations."""
        rows = self.rows_by_label[label]
        for number in shuffled_range(len(rows) * (len(rows) - 1), random):
            pair = self._pair(rows, number // 2)
            if pair is not None:
                yield pair if number % 2 else pair[::-1]

    def _pair(self, rows: npt.NDArray[np.int_], number: int) -> tuple[int, int] | None:
        one, other = (int(rows[position]) for position in _unrank_pair(number))
        return (one, other) if self.are_distinct(one, other) else None


class TextSampler:
    """Samples texts of a category from a shuffled deck: all are drawn before one comes again."""

    def __init__(self, pool: TextPool, random: np.random.Generator) -> None:
        self._pool = pool
        self._random = random
        self._decks: dict[Label, list[int]] = {label: [] for label in pool.rows_by_label}

    def draw(self, label: Label, *others: int) -> int | None:
        """A text of the category of no family of ``others``; None if there is none."""
        deck = self._decks[label]
        position = self._last_distinct(deck, others)
        if position is None:
            shuffled: list[int] = self._random.permutation(self._pool.rows_by_label[label]).tolist()
            position = self._last_distinct(shuffled, others)
            if position is None:
                return None
            deck[:0] = shuffled
        return deck.pop(position)

    def _last_distinct(self, deck: Sequence[int], others: Sequence[int]) -> int | None:
        for position in range(len(deck) - 1, -1, -1):
            if all(self._pool.are_distinct(deck[position], other) for other in others):
                return position
        return None


def shuffled_range(count: int, random: np.random.Generator) -> Iterator[int]:
    """The numbers below ``count`` in random order, each once; a large range makes no list."""
    if count <= _MAX_LISTED:
        yield from random.permutation(count).tolist()
        return
    seen: set[int] = set()
    while len(seen) < count:
        number = int(random.integers(count))
        if number not in seen:
            seen.add(number)
            yield number


def round_robin(
    streams: Mapping[str, Iterator[T]], count: int, random: np.random.Generator
) -> Iterator[tuple[str, T]]:
    """Up to ``count`` items, one of each stream in turn, in a new random order each round."""
    remaining = dict(streams)
    while remaining and count > 0:
        names = list(remaining)
        for position in random.permutation(len(names)).tolist():
            item = next(remaining[names[position]], None)
            if item is None:
                del remaining[names[position]]
            elif count > 0:
                count -= 1
                yield names[position], item


def _unrank_pair(number: int) -> tuple[int, int]:
    """The ``number``-th of (1, 0), (2, 0), (2, 1), (3, 0), …"""
    larger = int((1 + np.sqrt(1 + 8.0 * number)) / 2)
    while larger * (larger - 1) // 2 > number:
        larger -= 1
    while (larger + 1) * larger // 2 <= number:
        larger += 1
    return larger, number - larger * (larger - 1) // 2
