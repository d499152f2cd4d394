"""The data sets of one training, and how much of them is used."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from marketplace_ai.classifier.near_duplicates import near_duplicate_groups

from .datasets import Pair, Scored, Triplet
from .pair_batches import categories_of, count

#: Names of the data sets, in the order of the model card.
TRIPLETS, PAIRS, SCORED = "triplets", "pairs", "scored"


@dataclass(frozen=True)
class Data:
    """What is learned from, at least one of the three, and what it is measured on."""

    triplets: Sequence[Triplet] = ()
    pairs: Sequence[Pair] = ()
    scored: Sequence[Scored] = ()
    test: Sequence[Triplet] = ()

    @property
    def sets(self) -> dict[str, Sequence[Any]]:
        """Those that are there, by name."""
        found = {TRIPLETS: self.triplets, PAIRS: self.pairs, SCORED: self.scored}
        return {name: rows for name, rows in found.items() if rows}

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of all that is learned from, in its order."""
        rows = {name: [list(row) for row in rows] for name, rows in self.sets.items()}
        return sha256(json.dumps(rows, ensure_ascii=False).encode()).hexdigest()

    def categories(self) -> list[int]:
        """A number for each pair, equal where they are of one category: the file says so, or they
        hang together by a text that they share."""
        return categories_of(
            [
                (*pair[:2], *([("category", pair.category)] if pair.category is not None else []))
                for pair in self.pairs
            ]
        )

    def leaked(self) -> list[str]:
        """Texts of the test that are learned from as well, or say nearly the same as one that
        is; there must be none."""
        learned = dict.fromkeys(
            text for rows in self.sets.values() for row in rows for text in row[: _texts(row)]
        )
        tested = dict.fromkeys(text for row in self.test for text in row[:3])
        groups = near_duplicate_groups([*learned, *tested]).tolist()
        seen = set(groups[: len(learned)])
        of_test = zip(tested, groups[len(learned) :], strict=True)
        return [text for text, group in of_test if group in seen]


@dataclass(frozen=True)
class Plan:
    """Batches of each data set that an epoch takes, and rows of each that it leaves.

    Round robin takes a batch of each set by turns and stops with the smallest: of sets of
    unequal size the larger ones are used in part, another part in each epoch.
    """

    batches: int
    unused: dict[str, int]

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return self.batches * len(self.unused)


def plan(data: Data, batch_size: int, pair_batches: int | None = None) -> Plan:
    """How an epoch goes over the data. ``pair_batches`` is known where pairs are kept apart by
    more than their categories. Raises ValueError where no two of the pairs can go into one batch,
    for then the ranking loss has no negatives."""
    made: dict[str, int] = {}
    for name, rows in data.sets.items():
        if name == PAIRS:
            if pair_batches == 0:
                raise ValueError(
                    "no two pairs can go together, for each one's hard negative is of another's "
                    "category: leave --hard-negatives out, or mine pairs of more categories"
                )
            made[name] = pair_batches or count(data.categories(), batch_size)
            if not made[name]:
                raise ValueError(
                    "all pairs are of one category, and the ranking loss needs others as "
                    "negatives: leave --pairs out, or mine them from two categories or more"
                )
        else:
            made[name] = -(-len(rows) // batch_size)
    least = min(made.values())
    shares = {name: least / number for name, number in made.items()}
    unused = {name: round(len(rows) * (1 - shares[name])) for name, rows in data.sets.items()}
    return Plan(least, unused)


def _texts(row: Any) -> int:
    return 3 if isinstance(row, Triplet) else 2
