"""The data of one training: up to three data sets, a test set, and what an epoch uses of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from marketplace_ai.classifier.families import find_families

from .pair_batches import category_batches, connected_categories
from .row_checks import row_texts
from .row_files import Pair, ScoredPair, Triplet

#: Names of the data sets, in the order of the reference model card.
TRIPLETS, PAIRS, SCORED = "triplets", "pairs", "scored"


@dataclass(frozen=True)
class TrainingData:
    """The rows of a training, in at least one of three sets, and the test triplets.

    ``left_out`` counts the rows of the files that say nothing, by set.
    """

    triplets: Sequence[Triplet] = ()
    pairs: Sequence[Pair] = ()
    scored: Sequence[ScoredPair] = ()
    test: Sequence[Triplet] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)

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

    def pair_batches(self, size: int, seed: int = 0) -> Iterator[list[int]]:
        """The row numbers of each batch of pairs: no category and no text is in one twice."""
        texts = [frozenset(pair[:2]) for pair in self.pairs]
        return category_batches(self.categories(), texts, size, seed)

    def leaked(self) -> list[str]:
        """Test texts that are, or nearly duplicate, a training text; there must be none."""
        training = dict.fromkeys(
            text for rows in self.sets.values() for row in rows for text in row_texts(row)
        )
        test = dict.fromkeys(text for row in self.test for text in row_texts(row))
        groups = find_families([*training, *test]).tolist()
        training_groups = set(groups[: len(training)])
        test_groups = zip(test, groups[len(training) :], strict=True)
        return [text for text, group in test_groups if group in training_groups]


@dataclass(frozen=True)
class EpochPlan:
    """The batches that an epoch takes of each data set, and the rows of each that stay unused.

    Round robin takes a batch of each set in turn and ends with the smallest set. Of a larger set
    each epoch uses another part. ``pairs_without_batch`` of the unused ones have no partner left
    of another category.
    """

    batches: int
    unused: dict[str, int]
    pairs_without_batch: int = 0

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return self.batches * len(self.unused)


def plan_epoch(
    data: TrainingData, batch_size: int, pair_batches: Iterable[Sequence[int]] | None = None
) -> EpochPlan:
    """The plan of an epoch over ``data``.

    ``pair_batches`` are given if more than ``data`` knows keeps pairs apart (hard negatives).
    Raises ValueError if no two pairs can be in one batch: the ranking loss then has no negatives.
    """
    sizes = {name: _full_batches(len(rows), batch_size) for name, rows in data.sets.items()}
    if data.pairs:
        batches = data.pair_batches(batch_size) if pair_batches is None else pair_batches
        sizes[PAIRS] = [len(batch) for batch in batches]
        if not sizes[PAIRS]:
            raise ValueError(_why_no_batch(data))
    number = min(map(len, sizes.values()))
    used = {name: sum(each[:number]) for name, each in sizes.items()}
    unused = {name: len(rows) - used[name] for name, rows in data.sets.items()}
    return EpochPlan(number, unused, len(data.pairs) - sum(sizes.get(PAIRS, ())))


def _full_batches(rows: int, size: int) -> list[int]:
    """The sizes of batches where any rows may be together."""
    return [min(size, rows - start) for start in range(0, rows, size)]


def _why_no_batch(data: TrainingData) -> str:
    if next(data.pair_batches(2), None) is not None:
        return (
            "no two pairs can be in one batch, since each one's hard negative is of another's "
            "category: leave --hard-negatives out, or mine pairs of more categories"
        )
    cure = "and the ranking loss needs others as negatives: leave --pairs out, or mine them from "
    if data.pairs[0].category is not None and len({pair.category for pair in data.pairs}) == 1:
        return f"all pairs are of one category, {cure}two categories or more"
    texts = Counter(text for pair in data.pairs for text in set(pair[:2]))
    [(text, count)] = texts.most_common(1)
    return (
        "all pairs count as one category, since they share texts "
        f"({text[:40]!r} is in {count:,} of {len(data.pairs):,}), "
        f"{cure}texts of two categories or more"
    )
