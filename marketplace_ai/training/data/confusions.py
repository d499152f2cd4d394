"""Which categories are confused with which: the source of informative negatives."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marketplace_ai.classifier.ngrams import NgramFeatures

from .category_tree import CategoryTree
from .corpus import ConfusionCounts

Label = str | None
#: Nearest texts of other categories that count for the similarity of a text's category to theirs.
NUM_NEIGHBORS = 5
#: Weight of text similarity against people's corrections: that of so many corrections, for each
#: category.
SIMILARITY_PSEUDOCOUNT = 5.0
_BLOCK_SIZE = 256


@dataclass(frozen=True, eq=False)
class ConfusableCategories:
    """The categories that one category is confused with; their ``shares`` add up to 1."""

    labels: Sequence[Label]
    shares: npt.NDArray[np.float64]

    def sample(self, random: np.random.Generator) -> Label:
        return self.labels[int(random.choice(len(self.labels), p=self.shares))]


def text_similarity(
    texts: Sequence[str], labels: Sequence[Label], groups: npt.NDArray[np.intp]
) -> dict[tuple[Label, Label], float]:
    """How similar the texts of two categories are, by cosine of their character n-grams.

    For each (category, other category): the sum over the category's texts of the cosines to those
    of their ``NUM_NEIGHBORS`` nearest texts of other categories that are of the other category.
    Near-duplicates, which have equal numbers in ``groups``, do not count: the same text in two
    categories says nothing about either.
    """
    ngrams = NgramFeatures.fit(texts).transform(texts)
    columns = ngrams.T.tocsr()
    class_ids = {label: class_id for class_id, label in enumerate(dict.fromkeys(labels))}
    classes = np.array([class_ids[label] for label in labels], dtype=np.intp)
    similarity: dict[tuple[Label, Label], float] = defaultdict(float)
    for start in range(0, len(texts), _BLOCK_SIZE):
        block = slice(start, start + _BLOCK_SIZE)
        cosines = (ngrams[block] @ columns).toarray()
        cosines[classes[block, None] == classes] = 0
        cosines[groups[block, None] == groups] = 0
        nearest = np.argsort(-cosines, axis=1, kind="stable")[:, :NUM_NEIGHBORS]
        for row, neighbors in enumerate(nearest, start=start):
            for neighbor in neighbors.tolist():
                if (cosine := float(cosines[row - start, neighbor])) > 0:
                    similarity[labels[row], labels[neighbor]] += cosine
    return dict(similarity)


def confusable_categories(
    corrections: ConfusionCounts,
    similarity: Mapping[tuple[Label, Label], float],
    labels: Iterable[Label],
    tree: CategoryTree,
) -> dict[Label, ConfusableCategories]:
    """The confusable categories of each label that has any.

    ``similarity`` (see ``text_similarity``) counts as ``SIMILARITY_PSEUDOCOUNT`` corrections in
    total for a category. Each correction counts for both of its categories, since each must be
    told apart from the other. Ancestors and descendants of a category are not confusable with it.
    """
    known = set(labels)
    weights: dict[Label, dict[Label, float]] = {label: defaultdict(float) for label in known}
    totals: dict[Label, float] = defaultdict(float)
    for (one, other), weight in similarity.items():
        if not tree.on_one_path(one, other):
            totals[one] += weight
    for (one, other), weight in similarity.items():
        if {one, other} <= known and not tree.on_one_path(one, other):
            weights[one][other] += SIMILARITY_PSEUDOCOUNT * weight / totals[one]
    for (one, other), count in corrections.items():
        if {one, other} <= known and not tree.on_one_path(one, other):
            weights[one][other] += count
            weights[other][one] += count
    return {label: _ranked(others) for label, others in weights.items() if others}


def _ranked(weights: Mapping[Label, float]) -> ConfusableCategories:
    labels = sorted(weights, key=lambda label: (-weights[label], label is None, label or ""))
    shares = np.array([weights[label] for label in labels])
    return ConfusableCategories(labels, shares / shares.sum())
