"""Mining: from a labeled corpus to training data and a test set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from marketplace_ai.classifier.families import find_families
from marketplace_ai.classifier.near_duplicates import near_duplicate_groups
from marketplace_ai.encoding.progress import Progress, silent

from .category_tree import CategoryTree
from .confusions import ConfusableCategories, Label, confusable_categories, text_similarity
from .corpus import LabeledCorpus, MiningError
from .row_files import Pair, ScoredPair, Triplet
from .sampling import TextPool, round_robin
from .split import held_out_mask
from .triplet_miner import TripletMiner

#: Test triplets at most: more would say nothing new about the same texts.
MAX_TEST_TRIPLETS = 4000
#: All texts are compared with one another, so a larger corpus is sampled, evenly over categories:
#: 8,000 rows of each kind could not use more.
MAX_TEXTS = 20_000

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class MinedDataset:
    """What was mined from ``corpus``.

    ``groups`` (n,) are equal for texts of one family, ``held_out`` bool (n,) is the split.
    ``notes`` say why there is less than was asked for.
    """

    corpus: LabeledCorpus
    groups: Rows
    held_out: npt.NDArray[np.bool_]
    confusable: Mapping[Label, ConfusableCategories]
    triplets: Sequence[Triplet]
    pairs: Sequence[Pair]
    scored: Sequence[ScoredPair]
    test_triplets: Sequence[Triplet]
    notes: Sequence[str] = field(default_factory=list)


def mine_dataset(
    corpus: LabeledCorpus,
    *,
    each: int = 8000,
    test_share: float = 0.2,
    seed: int = 0,
    progress: Progress = silent,
) -> MinedDataset:
    """Up to ``each`` triplets, pairs and scored pairs; the same for equal corpus and seed.

    ``test_share`` of each category's families is held out for the test triplets. Raises MiningError
    if no category has two distinct texts.
    """
    notes = []
    if len(corpus) > MAX_TEXTS:
        notes.append(f"The corpus was sampled: {MAX_TEXTS:,} of {len(corpus):,} texts.")
        corpus = _sample(corpus, seed)
    with progress("Comparing texts", None) as advance:
        by_text = near_duplicate_groups(corpus.texts)
        groups = find_families(corpus.texts, given=corpus.families, by_text=by_text)
        held_out = held_out_mask(groups, corpus.labels, test_share, seed)
        # Two given families may say nearly the same: what is held out of one is not learned from
        # another.
        repeats = ~held_out & np.isin(by_text, by_text[held_out])
        if repeats.any():
            notes.append(
                f"{int(repeats.sum()):,} texts are in no training file, because they nearly repeat "
                "a held-out text of another family."
            )
        training_rows = np.flatnonzero(~held_out & ~repeats)
        pool = TextPool(training_rows, corpus.labels, groups)
        tree = CategoryTree(corpus.parents)
        similarity = _similarity(corpus, groups, training_rows)
        confusable = confusable_categories(corpus.confusions, similarity, pool.rows_by_label, tree)
        advance(len(corpus))
    test_pool = TextPool(np.flatnonzero(held_out), corpus.labels, groups)
    miner = TripletMiner(corpus.texts, tree)
    with progress("Mining", 3 * each) as advance:
        triplets = list(miner.triplets(pool, confusable, each, _random(seed, 1)))
        advance(each)
        pairs = list(miner.pairs(pool, each, _random(seed, 2)))
        advance(each)
        scored = miner.scored(pool, each, _random(seed, 3))
        advance(each)
    if not pairs:
        raise MiningError(
            f"{corpus.source}: no category has two texts that differ, so there are no positive "
            "pairs. Label more texts of each category."
        )
    test_triplets = list(miner.triplets(test_pool, {}, MAX_TEST_TRIPLETS, _random(seed, 4)))
    notes += list(_shortfalls(each, triplets, pairs, scored, test_triplets))
    return MinedDataset(
        corpus, groups, held_out, confusable, triplets, pairs, scored, test_triplets, notes
    )


def _similarity(
    corpus: LabeledCorpus, groups: Rows, training_rows: Rows
) -> dict[tuple[Label, Label], float]:
    """Of the training texts alone: held-out texts must not influence what is mined."""
    return text_similarity(
        [corpus.texts[row] for row in training_rows],
        [corpus.labels[row] for row in training_rows],
        groups[training_rows],
    )


def _sample(corpus: LabeledCorpus, seed: int) -> LabeledCorpus:
    random = _random(seed, 0)
    rows_by_label: dict[str, list[int]] = {}
    for row, label in enumerate(corpus.labels):
        rows_by_label.setdefault(label or "", []).append(row)
    streams = {
        label: iter(random.permutation(rows).tolist()) for label, rows in rows_by_label.items()
    }
    return corpus.take(sorted(row for _, row in round_robin(streams, MAX_TEXTS, random)))


def _random(seed: int, part: int) -> np.random.Generator:
    """A generator for one part, so that no part depends on how much another drew."""
    return np.random.default_rng([seed, part])


def _shortfalls(
    each: int,
    triplets: Sequence[Triplet],
    pairs: Sequence[Pair],
    scored: Sequence[ScoredPair],
    test_triplets: Sequence[Triplet],
) -> Iterator[str]:
    for name, rows, possible in (
        ("triplets", triplets, "n(n-1) ordered pairs of anchor and positive"),
        ("pairs", pairs, "n(n-1)/2 pairs"),
    ):
        if len(rows) < each:
            yield (
                f"{len(rows):,} {name} instead of {each:,}: n texts of a category make {possible}, "
                "and none is used twice. Label more texts."
            )
    if len(scored) < each:
        counts = Counter(row.score for row in scored)
        of_each = f"{min(counts.values()):,} of each score" if counts else "none"
        yield (
            f"{len(scored):,} scored pairs instead of {each:,}: {of_each}, since the scores are "
            "balanced and one of them has no more pairs."
        )
    if not test_triplets:
        yield (
            "No test triplets: no category has four texts that differ, two to hold out and two to "
            "train on."
        )
