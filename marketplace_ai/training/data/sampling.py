"""Drawing texts: without repeats, evenly over categories, the same for the same seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar("T")
Label = str | None
#: Up to so many possibilities are all written down and shuffled.
_LISTED = 1 << 14


class Stock:
    """The texts that may be drawn, by category: row numbers of ``groups`` and ``labels``."""

    def __init__(
        self,
        numbers: npt.NDArray[np.intp],
        labels: Sequence[Label],
        groups: npt.NDArray[np.intp],
    ) -> None:
        self.groups = groups
        members: dict[Label, list[int]] = {}
        for number in numbers.tolist():
            members.setdefault(labels[number], []).append(number)
        self.members = {
            label: np.array(members[label])
            for label in sorted(members, key=lambda label: (label is None, label or ""))
        }

    @property
    def categories(self) -> list[str]:
        """Without "fits none"."""
        return [label for label in self.members if label is not None]

    def differ(self, *numbers: int) -> bool:
        """Whether no two of these texts say nearly the same."""
        return len({int(self.groups[number]) for number in numbers}) == len(numbers)

    def pairs(self, label: Label, random: np.random.Generator) -> Iterator[tuple[int, int]]:
        """Every two texts of the category that differ, once, in random order and orientation."""
        members = self.members[label]
        for number in shuffled(len(members) * (len(members) - 1) // 2, random):
            pair = self._pair(members, number)
            if pair is not None:
                yield pair if random.random() < 0.5 else pair[::-1]

    def both_ways(self, label: Label, random: np.random.Generator) -> Iterator[tuple[int, int]]:
        """As ``pairs``, but each in both orientations."""
        members = self.members[label]
        for number in shuffled(len(members) * (len(members) - 1), random):
            pair = self._pair(members, number // 2)
            if pair is not None:
                yield pair if number % 2 else pair[::-1]

    def _pair(self, members: npt.NDArray[np.int_], number: int) -> tuple[int, int] | None:
        one, other = (int(members[place]) for place in _places(number))
        return (one, other) if self.differ(one, other) else None


class Decks:
    """The texts of each category as a shuffled deck: all are drawn before one comes again."""

    def __init__(self, stock: Stock, random: np.random.Generator) -> None:
        self._stock = stock
        self._random = random
        self._decks: dict[Label, list[int]] = {label: [] for label in stock.members}

    def draw(self, label: Label, *others: int) -> int | None:
        """A text of the category that is no near-duplicate of ``others``; None: there is none."""
        deck = self._decks[label]
        place = self._place(deck, others)
        if place is None:
            fresh: list[int] = self._random.permutation(self._stock.members[label]).tolist()
            place = self._place(fresh, others)
            if place is None:
                return None
            deck[:0] = fresh
        return deck.pop(place)

    def _place(self, deck: Sequence[int], others: Sequence[int]) -> int | None:
        for place in range(len(deck) - 1, -1, -1):
            if all(self._stock.differ(deck[place], other) for other in others):
                return place
        return None


def shuffled(count: int, random: np.random.Generator) -> Iterator[int]:
    """The numbers below ``count`` in random order, each once; of very many no list is made."""
    if count <= _LISTED:
        yield from random.permutation(count).tolist()
        return
    seen: set[int] = set()
    while len(seen) < count:
        number = int(random.integers(count))
        if number not in seen:
            seen.add(number)
            yield number


def in_turn(
    streams: Mapping[str, Iterator[T]], count: int, random: np.random.Generator
) -> Iterator[tuple[str, T]]:
    """Up to ``count`` things, one of each stream in turn, in a new order each round."""
    left = dict(streams)
    while left and count > 0:
        names = list(left)
        for place in random.permutation(len(names)).tolist():
            thing = next(left[names[place]], None)
            if thing is None:
                del left[names[place]]
            elif count > 0:
                count -= 1
                yield names[place], thing


def _places(number: int) -> tuple[int, int]:
    """The ``number``-th of (1, 0), (2, 0), (2, 1), (3, 0), …"""
    larger = int((1 + np.sqrt(1 + 8.0 * number)) / 2)
    while larger * (larger - 1) // 2 > number:
        larger -= 1
    while (larger + 1) * larger // 2 <= number:
        larger += 1
    return larger, number - larger * (larger - 1) // 2
