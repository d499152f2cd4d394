"""The data of one training: up to three data sets, a test set, and what an epoch uses of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from marketplace_ai.classifier.near_duplicates import near_duplicate_groups

from .pair_batches import connected_categories, count_batches
from .row_files import Pair, ScoredPair, Triplet

#: Names of the data sets, in the order of the reference model card.
TRIPLETS, PAIRS, SCORED = "triplets", "pairs", "scored"


@dataclass(frozen=True)
class TrainingData:
    """The rows of a training, in at least one of three sets, and the test triplets."""

    triplets: Sequence[Triplet] = ()
    pairs: Sequence[Pair] = ()
    scored: Sequence[ScoredPair] = ()
    test: Sequence[Triplet] = ()

    @property
    def sets(self) -> dict[str, Sequence[Any]]:
        """The data sets that have rows, by name."""
        sets = {TRIPLETS: self.triplets, PAIRS: self.pairs, SCORED: self.scored}
        return {name: rows for name, rows in sets.items() if rows}

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of all training rows, in their order."""
        rows = {name: [list(row) for row in rows] for name, rows in self.sets.items()}
        return sha256(json.dumps(rows, ensure_ascii=False).encode()).hexdigest()

    def categories(self) -> list[int]:
        """A number for each pair, equal for pairs with the same category or connected by texts."""
        return connected_categories(
            [
                (*pair[:2], *([("category", pair.category)] if pair.category is not None else []))
                for pair in self.pairs
            ]
        )

    def leaked(self) -> list[str]:
        """Test texts that are, or nearly duplicate, a training text; there must be none."""
        training = dict.fromkeys(
            text for rows in self.sets.values() for row in rows for text in _texts(row)
        )
        test = dict.fromkeys(text for row in self.test for text in _texts(row))
        groups = near_duplicate_groups([*training, *test]).tolist()
        training_groups = set(groups[: len(training)])
        test_groups = zip(test, groups[len(training) :], strict=True)
        return [text for text, group in test_groups if group in training_groups]


@dataclass(frozen=True)
class EpochPlan:
    """The batches that an epoch takes of each data set, and the rows of each that stay unused.

    Round robin takes a batch of each set in turn and ends with the smallest set. Of a larger set
    each epoch uses another part.
    """

    batches: int
    unused: dict[str, int]

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return self.batches * len(self.unused)


def plan_epoch(
    data: TrainingData, batch_size: int, num_pair_batches: int | None = None
) -> EpochPlan:
    """The plan of an epoch over ``data``.

    ``num_pair_batches`` is given if more than categories keeps pairs apart (hard negatives).
    Raises ValueError if no two pairs can be in one batch: the ranking loss then has no negatives.
    """
    num_batches = {
        name: _num_pair_batches(data, batch_size, num_pair_batches)
        if name == PAIRS
        else -(-len(rows) // batch_size)
        for name, rows in data.sets.items()
    }
    batches = min(num_batches.values())
    used = {name: batches / number for name, number in num_batches.items()}
    unused = {name: round(len(rows) * (1 - used[name])) for name, rows in data.sets.items()}
    return EpochPlan(batches, unused)


def _num_pair_batches(data: TrainingData, batch_size: int, known: int | None) -> int:
    if known == 0:
        raise ValueError(
            "no two pairs can be in one batch, since each one's hard negative is of another's "
            "category: leave --hard-negatives out, or mine pairs of more categories"
        )
    number = known or count_batches(data.categories(), batch_size)
    if not number:
        raise ValueError(
            "all pairs are of one category, and the ranking loss needs others as negatives: leave "
            "--pairs out, or mine them from two categories or more"
        )
    return number


def _texts(row: Any) -> Sequence[str]:
    return tuple(row[: 3 if isinstance(row, Triplet) else 2])
