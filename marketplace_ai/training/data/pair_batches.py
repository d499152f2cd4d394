"""Batches of pairs for the ranking loss: each category at most once.

The loss takes the positives of the other rows as negatives. Two texts of one category would be
false negatives, which the library's sampler cannot know, since it compares texts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import numpy as np


def connected_categories(rows: Sequence[Sequence[Hashable]]) -> list[int]:
    """A number for each row, equal for rows connected by a shared item: a text or a category.

    For pairs without a category: texts that are paired with one another belong to one category,
    and so does everything connected to them.
    """
    parent: dict[Hashable, Hashable] = {}

    def root(item: Hashable) -> Hashable:
        while parent.setdefault(item, item) != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    for first, *others in rows:
        for other in others:
            parent[root(other)] = root(first)
    numbers: dict[Hashable, int] = {}
    return [numbers.setdefault(root(row[0]), len(numbers)) for row in rows]


def category_batches(
    categories: Sequence[Hashable], keys: Sequence[frozenset[Any]], size: int, seed: int
) -> Iterator[list[int]]:
    """Batches of up to ``size`` rows in which no category, and no key of a row, occurs twice.

    With fewer categories than ``size`` a batch has as many rows as there are categories: a false
    negative does more harm than a missing one. Categories with the most rows left come first, so
    that batches stay full as long as possible. A row that would be alone in its batch has no
    negatives and is left out.
    """
    random = np.random.default_rng(seed)
    remaining: dict[Hashable, list[int]] = defaultdict(list)
    for row in random.permutation(len(categories)).tolist():
        remaining[categories[row]].append(row)
    while remaining:
        names = list(remaining)
        order = [names[position] for position in random.permutation(len(names))]
        order.sort(key=lambda category: -len(remaining[category]))
        batch: list[int] = []
        used_keys: set[Any] = set()
        for category in order:
            free = next(
                (row for row in remaining[category] if used_keys.isdisjoint(keys[row])), None
            )
            if free is None:
                continue
            remaining[category].remove(free)
            batch.append(free)
            used_keys.update(keys[free])
            if len(batch) == size:
                break
        remaining = {category: rows for category, rows in remaining.items() if rows}
        if len(batch) > 1:
            yield batch
