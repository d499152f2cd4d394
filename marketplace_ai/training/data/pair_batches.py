"""Which pairs go into one batch of the ranking loss: each of another category.

The loss takes the other rows' positives for negatives. Titles of one category would be false
ones, and a sampler that compares texts cannot see that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import numpy as np


def categories_of(pairs: Sequence[Sequence[Hashable]]) -> list[int]:
    """A number for each pair; equal where pairs are connected by something that they share: a
    text, or what says their category.

    For rows that name no category: texts of a category that were paired with one another
    hang together, and what hangs together is not to be told apart.
    """
    parent: dict[Hashable, Hashable] = {}

    def root(text: Hashable) -> Hashable:
        while parent.setdefault(text, text) != text:
            parent[text] = parent[parent[text]]
            text = parent[text]
        return text

    for first, *others in pairs:
        for other in others:
            parent[root(other)] = root(first)
    numbers: dict[Hashable, int] = {}
    return [numbers.setdefault(root(pair[0]), len(numbers)) for pair in pairs]


def batches(
    categories: Sequence[Hashable], keys: Sequence[frozenset[Any]], size: int, seed: int
) -> Iterator[list[int]]:
    """Rows in batches of ``size`` in which no category, and none of a row's ``keys``, comes twice.

    With fewer categories than ``size`` a batch has as many rows as there are categories, since
    one false negative teaches more wrong than a missing one costs. The categories with most
    rows left come first, so that batches stay full for as long as that is possible; a row that
    is alone in its batch has no negatives and is left out.
    """
    chance = np.random.default_rng(seed)
    waiting: dict[Hashable, list[int]] = defaultdict(list)
    for row in chance.permutation(len(categories)).tolist():
        waiting[categories[row]].append(row)
    while waiting:
        names = list(waiting)
        order = [names[place] for place in chance.permutation(len(names))]
        order.sort(key=lambda category: -len(waiting[category]))
        batch: list[int] = []
        seen: set[str] = set()
        for category in order:
            free = next((row for row in waiting[category] if seen.isdisjoint(keys[row])), None)
            if free is None:
                continue
            waiting[category].remove(free)
            batch.append(free)
            seen.update(keys[free])
            if len(batch) == size:
                break
        waiting = {category: rows for category, rows in waiting.items() if rows}
        if len(batch) > 1:
            yield batch


def count(categories: Sequence[Hashable], size: int) -> int:
    """How many batches ``batches`` makes, where texts do not collide."""
    rows: dict[Hashable, int] = defaultdict(int)
    for category in categories:
        rows[category] += 1
    left, made = sorted(rows.values(), reverse=True), 0
    while sum(1 for number in left if number) >= 2:
        left.sort(reverse=True)
        left = [number - (place < size) for place, number in enumerate(left) if number]
        made += 1
    return made
