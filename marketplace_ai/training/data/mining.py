"""From labelled texts to what an encoder learns from, and what it is tested with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from marketplace_ai.classifier.near_duplicates import near_duplicate_groups
from marketplace_ai.encoding.progress import Progress, silent

from . import confusions
from .category_tree import Tree
from .confusions import Label, Rivals
from .datasets import Pair, Scored, Triplet
from .drawing import Draw
from .labeled_texts import MiningError, TrainingRows
from .sampling import Stock, in_turn
from .split import held_out

#: Held-out triplets at most: more would say nothing new about the same texts.
MOST_TEST_TRIPLETS = 4000
#: Each text is compared with each other one, so of very many some are drawn, evenly over the
#: categories: 8,000 rows of each kind would not show more of them.
MOST_TEXTS = 20_000

Numbers = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Mined:
    """What came of ``rows``: bool ``held_out`` (n,) says which are learnt from and which not,
    and ``groups`` (n,) which say nearly the same. ``notes``: why there is less than was asked.
    """

    rows: TrainingRows
    groups: Numbers
    held_out: npt.NDArray[np.bool_]
    rivals: Mapping[Label, Rivals]
    triplets: Sequence[Triplet]
    pairs: Sequence[Pair]
    scored: Sequence[Scored]
    test_triplets: Sequence[Triplet]
    notes: Sequence[str] = field(default_factory=list)


def mine(
    rows: TrainingRows,
    *,
    each: int = 8000,
    test_share: float = 0.2,
    seed: int = 0,
    progress: Progress = silent,
) -> Mined:
    """Up to ``each`` triplets, pairs and scored pairs; the same for the same rows and seed.

    ``test_share`` of each category's texts is held out for the test triplets. Raises
    MiningError where no category has two texts that differ.
    """
    notes = []
    if len(rows) > MOST_TEXTS:
        notes.append(f"{MOST_TEXTS:,} of {len(rows):,} texts were drawn to be mined from.")
        rows = _some(rows, seed)
    with progress("Comparing texts", None) as advance:
        groups = near_duplicate_groups(rows.texts)
        out = held_out(groups, rows.labels, test_share, seed)
        stock = Stock(np.flatnonzero(~out), rows.labels, groups)
        tree = Tree(rows.parents)
        likeness = _likeness(rows, groups, np.flatnonzero(~out))
        rivals = confusions.rivals(rows.confusions, likeness, stock.members, tree)
        advance(len(rows))
    test = Stock(np.flatnonzero(out), rows.labels, groups)
    draw = Draw(rows.texts, tree)
    with progress("Mining", 3 * each) as advance:
        triplets = list(draw.triplets(stock, rivals, each, _random(seed, 1)))
        advance(each)
        pairs = list(draw.pairs(stock, each, _random(seed, 2)))
        advance(each)
        scored = draw.scored(stock, each, _random(seed, 3))
        advance(each)
    if not pairs:
        raise MiningError(
            f"{rows.source}: no category has two texts that differ, so there is no pair of texts "
            "that say the same. Label more texts of each category."
        )
    test_triplets = list(draw.triplets(test, {}, MOST_TEST_TRIPLETS, _random(seed, 4)))
    notes += list(_shortfalls(each, triplets, pairs, scored, test_triplets))
    return Mined(rows, groups, out, rivals, triplets, pairs, scored, test_triplets, notes)


def _likeness(
    rows: TrainingRows, groups: Numbers, learnt: Numbers
) -> dict[tuple[Label, Label], float]:
    """Of the texts that are learnt from alone: what is held out has no say in what is mined."""
    return confusions.by_text(
        [rows.texts[i] for i in learnt], [rows.labels[i] for i in learnt], groups[learnt]
    )


def _some(rows: TrainingRows, seed: int) -> TrainingRows:
    random = _random(seed, 0)
    members: dict[str, list[int]] = {}
    for number, label in enumerate(rows.labels):
        members.setdefault(label or "", []).append(number)
    streams = {label: iter(random.permutation(of).tolist()) for label, of in members.items()}
    return rows.take(sorted(number for _, number in in_turn(streams, MOST_TEXTS, random)))


def _random(seed: int, part: int) -> np.random.Generator:
    """Of its own for each part, so that none hangs on how much another drew."""
    return np.random.default_rng([seed, part])


def _shortfalls(
    each: int,
    triplets: Sequence[Triplet],
    pairs: Sequence[Pair],
    scored: Sequence[Scored],
    test_triplets: Sequence[Triplet],
) -> Iterator[str]:
    for name, found, makes in (
        ("triplets", triplets, "n(n-1) of anchor and positive"),
        ("pairs", pairs, "n(n-1)/2 pairs"),
    ):
        if len(found) < each:
            yield (
                f"{len(found):,} {name} instead of {each:,}: n texts of a category make {makes}, "
                "and none is taken twice. Label more texts."
            )
    if len(scored) < each:
        counts = Counter(row.score for row in scored)
        of_each = f"{min(counts.values()):,} of each score" if counts else "none"
        yield (
            f"{len(scored):,} scored pairs instead of {each:,}: {of_each}, so that they are "
            "balanced, and one of the scores has no more."
        )
    if not test_triplets:
        yield (
            "No test triplet: no category has four texts that differ, two to hold out and two to "
            "learn from."
        )
