"""Which categories are taken for which, and how often: where negatives are worth most."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marketplace_ai.classifier.ngrams import NgramFeatures

from .category_tree import Tree
from .labeled_texts import Confusions

Label = str | None
#: Texts of other categories that a text is held to be confused with: those most like it.
NEAREST = 5
#: What the likeness of texts counts beside people's corrections: as much as this many of them.
PRIOR = 5.0
_BLOCK = 256


@dataclass(frozen=True, eq=False)
class Rivals:
    """What one category is confused with, and the share of each, adding up to 1."""

    labels: Sequence[Label]
    shares: npt.NDArray[np.float64]

    def draw(self, random: np.random.Generator) -> Label:
        return self.labels[int(random.choice(len(self.labels), p=self.shares))]


def by_text(
    texts: Sequence[str], labels: Sequence[Label], groups: npt.NDArray[np.intp]
) -> dict[tuple[Label, Label], float]:
    """How alike the texts of two categories are: for each (category, other) the sum, over the
    category's texts, of the cosines to the ``NEAREST`` texts of other categories.

    Character n-grams, as a vote by text alone compares them. Near-duplicates (equal numbers in
    ``groups``) are left out: the same text in two categories says nothing about either.
    """
    grams = NgramFeatures.fit(texts).transform(texts)
    columns = grams.T.tocsr()
    names = {label: code for code, label in enumerate(dict.fromkeys(labels))}
    codes = np.array([names[label] for label in labels], dtype=np.intp)
    found: dict[tuple[Label, Label], float] = defaultdict(float)
    for start in range(0, len(texts), _BLOCK):
        block = slice(start, start + _BLOCK)
        similar = (grams[block] @ columns).toarray()
        similar[codes[block, None] == codes] = 0
        similar[groups[block, None] == groups] = 0
        nearest = np.argsort(-similar, axis=1, kind="stable")[:, :NEAREST]
        for row, others in enumerate(nearest, start=start):
            for other in others.tolist():
                if (cosine := float(similar[row - start, other])) > 0:
                    found[labels[row], labels[other]] += cosine
    return dict(found)


def rivals(
    people: Confusions,
    likeness: Mapping[tuple[Label, Label], float],
    labels: Iterable[Label],
    tree: Tree,
) -> dict[Label, Rivals]:
    """Of each label its rivals, where it has any.

    ``likeness``, as ``by_text`` gives it, counts ``PRIOR`` in all for a category; each
    correction counts one, for both of its categories, since each must be told from the other.
    A category above or below another is none of its rivals.
    """
    known = set(labels)
    weights: dict[Label, dict[Label, float]] = {label: defaultdict(float) for label in known}
    total: dict[Label, float] = defaultdict(float)
    for (one, other), weight in likeness.items():
        if not tree.in_line(one, other):
            total[one] += weight
    for (one, other), weight in likeness.items():
        if {one, other} <= known and not tree.in_line(one, other):
            weights[one][other] += PRIOR * weight / total[one]
    for (one, other), count in people.items():
        if {one, other} <= known and not tree.in_line(one, other):
            weights[one][other] += count
            weights[other][one] += count
    found = {}
    for label, of in weights.items():
        if of:
            ranked = sorted(of, key=lambda other: (-of[other], other is None, other or ""))
            shares = np.array([of[other] for other in ranked])
            found[label] = Rivals(ranked, shares / shares.sum())
    return found
