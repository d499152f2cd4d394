"""Fits on ever more of the labeled rows, each judged on rows of other families."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marketplace_ai.classifier import Classifier, LabeledTexts
from marketplace_ai.classifier.labeled import families_of

Floats = npt.NDArray[np.float64]

#: Shares of the rows that teach, and how often families are divided anew.
SHARES, REPEATS = (0.125, 0.25, 0.5, 0.75, 1.0), 3
#: The share of the families that judge.
JUDGING = 0.25
#: Labeled rows that are looked at, drawn at random; more cost time, and the curve is seen by then.
MAX_ROWS = 2000
#: With fewer, or fewer than two for each category, no curve is drawn.
MIN_ROWS = 60


@dataclass(frozen=True, eq=False)
class SubsetFits:
    """What fits on ``labels`` (s,) rows made of r judging rows (those of each repeat in turn).

    ``right`` bool (s, r): the first choice is right; ``probability`` (s, r) that it is, as the
    fit says; ``families`` (r,), never shared between repeats.
    """

    labels: Floats
    right: npt.NDArray[np.bool_]
    probability: Floats
    families: npt.NDArray[np.intp]


def fit_subsets(
    rows: LabeledTexts,
    descriptions: LabeledTexts | None,
    advance: Callable[[int], None],
    *,
    seed: int = 0,
) -> SubsetFits | None:
    """Fit on growing subsets of ``rows``; None with too few of them. ``advance`` counts the fits,
    ``len(SHARES) * REPEATS`` in all."""
    random = np.random.default_rng(seed)
    if len(rows) > MAX_ROWS:
        rows = rows.take(np.sort(random.permutation(len(rows))[:MAX_ROWS]))
    categories = {label for label in rows.labels if label is not None}
    if len(rows) < max(MIN_ROWS, 2 * len(categories)) or len(categories) < 2:
        return None
    families = families_of(rows)
    labels, right, probability, judged = [], [], [], []
    for repeat in range(REPEATS):
        place = random.permutation(families.max() + 1) / (families.max() + 1)
        judges = np.flatnonzero(place[families] < JUDGING)
        teaching = np.flatnonzero(place[families] >= JUDGING)
        teaching = teaching[np.argsort(place[families[teaching]], kind="stable")]
        sizes, hits, sure = [], [], []
        for share in SHARES:
            taught = rows.take(teaching[: max(1, round(share * len(teaching)))])
            found, at = _predict(taught, descriptions, rows.take(judges))
            sizes.append(len(taught))
            hits.append(found)
            sure.append(at)
            advance(1)
        labels.append(sizes)
        right.append(np.array(hits))
        probability.append(np.array(sure))
        judged.append(families[judges] + repeat * (families.max() + 1))
    return SubsetFits(
        np.mean(labels, axis=0),
        np.hstack(right),
        np.hstack(probability),
        np.concatenate(judged),
    )


def _predict(
    taught: LabeledTexts, descriptions: LabeledTexts | None, rows: LabeledTexts
) -> tuple[npt.NDArray[np.bool_], Floats]:
    """Whether each row's first choice is right, and how probable the fit says that is."""
    if all(label is None for label in taught.labels):
        return np.zeros(len(rows), dtype=np.bool_), np.zeros(len(rows))
    classifier = Classifier.fit(taught, descriptions=descriptions)
    index = classifier.exemplar_model.index(taught, descriptions)
    found = classifier.predict(index, rows.vectors, rows.texts)
    return (
        np.array([each.label == label for each, label in zip(found, rows.labels, strict=True)]),
        np.array([each.probability for each in found]),
    )
