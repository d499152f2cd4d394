"""Mining triplets, pairs and scored pairs from labeled texts.

Two texts of one category count as paraphrases. Negatives come half from confusable categories,
half evenly from all others. Texts that fit no category are only negatives: two of them have
nothing in common.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from .category_tree import CategoryTree
from .confusions import ConfusableCategories, Label
from .row_files import Pair, ScoredPair, Triplet
from .sampling import TextPool, TextSampler, round_robin

#: Scores of two texts of the same category, of near categories, and of others. CoSENT learns only
#: their order, so what matters is three clearly separate levels. The reference card gives 0.95 to
#: a paraphrase, which two texts of one category seldom are, and 0.35 to 0.55 to neighbors.
SAME, NEAR, FAR = 0.9, 0.5, 0.1
#: Draws without a new pair after which there are taken to be no more.
_MAX_FAILURES = 1000


class TripletMiner:
    """Samples triplets, pairs and scored pairs; a pool says which rows of ``texts`` may be used."""

    def __init__(self, texts: Sequence[str], tree: CategoryTree) -> None:
        self._texts = texts
        self._tree = tree

    def triplets(
        self,
        pool: TextPool,
        confusable: Mapping[Label, ConfusableCategories],
        count: int,
        random: np.random.Generator,
    ) -> Iterator[Triplet]:
        """Up to ``count`` triplets, of the categories in turn.

        Every second negative of a category comes from its confusable categories if it has any;
        the others come from any category not on one path with it. If ``confusable`` is empty, no
        text that fits no category is used.
        """
        sampler = TextSampler(pool, random)
        labels = list(pool.rows_by_label) if confusable else list(pool.categories)
        others = {
            label: [other for other in labels if not self._tree.on_one_path(label, other)]
            for label in pool.categories
        }
        num_drawn: Counter[str] = Counter()
        streams = {label: pool.ordered_pairs(label, random) for label in others if others[label]}
        for label, (anchor, positive) in round_robin(streams, count, random):
            num_drawn[label] += 1
            negative = None
            if num_drawn[label] % 2 and label in confusable:
                negative = sampler.draw(confusable[label].sample(random), anchor, positive)
            if negative is None:
                other = others[label][int(random.integers(len(others[label])))]
                negative = sampler.draw(other, anchor, positive)
            if negative is not None:
                texts = self._texts
                yield Triplet(texts[anchor], texts[positive], texts[negative], label)

    def pairs(self, pool: TextPool, count: int, random: np.random.Generator) -> Iterator[Pair]:
        """Up to ``count`` pairs, of the categories in turn."""
        streams = {label: pool.pairs(label, random) for label in pool.categories}
        for label, (anchor, positive) in round_robin(streams, count, random):
            yield Pair(self._texts[anchor], self._texts[positive], label)

    def scored(self, pool: TextPool, count: int, random: np.random.Generator) -> list[ScoredPair]:
        """Up to ``count`` scored pairs, equally many of each score.

        A score that no two texts have, as ``NEAR`` without parents, is left out.
        """
        labels = pool.categories
        near = {
            label: [
                other for other in labels if other != label and self._tree.is_near(label, other)
            ]
            for label in labels
        }
        far = {
            label: [other for other in labels if not self._tree.is_near(label, other)]
            for label in labels
        }
        streams = {label: pool.pairs(label, random) for label in labels}
        limit = -(-count // 2)  # there are at least two scores, SAME and FAR
        pairs_by_score = {
            SAME: [pair for _, pair in round_robin(streams, limit, random)],
            NEAR: list(_pairs_across(pool, near, limit, random)),
            FAR: list(_pairs_across(pool, far, limit, random)),
        }
        return self._balanced(pairs_by_score, count, random)

    def _balanced(
        self,
        pairs_by_score: Mapping[float, Sequence[tuple[int, int]]],
        count: int,
        random: np.random.Generator,
    ) -> list[ScoredPair]:
        pairs_by_score = {score: pairs for score, pairs in pairs_by_score.items() if pairs}
        if not pairs_by_score:
            return []
        share, remainder = divmod(count, len(pairs_by_score))
        fewest = min(map(len, pairs_by_score.values()))
        texts, rows = self._texts, []
        for number, (score, pairs) in enumerate(pairs_by_score.items()):
            wanted = min(share + (number < remainder), fewest)
            rows += [ScoredPair(texts[one], texts[other], score) for one, other in pairs[:wanted]]
        return [rows[i] for i in random.permutation(len(rows))]


def _pairs_across(
    pool: TextPool,
    others: Mapping[str, Sequence[str]],
    count: int,
    random: np.random.Generator,
) -> Iterator[tuple[int, int]]:
    """Up to ``count`` different pairs of a text of a category and one of its ``others``."""
    labels = [label for label, other_labels in others.items() if other_labels]
    seen: set[tuple[int, int]] = set()
    num_failures = 0
    while labels and len(seen) < count and num_failures < _MAX_FAILURES:
        label = labels[int(random.integers(len(labels)))]
        other = others[label][int(random.integers(len(others[label])))]
        one, two = (int(random.choice(pool.rows_by_label[name])) for name in (label, other))
        pair = min(one, two), max(one, two)
        if pair in seen or not pool.are_distinct(one, two):
            num_failures += 1
            continue
        num_failures = 0
        seen.add(pair)
        yield one, two
