"""How a classifier answers labelled rows: one that was just fitted, and one that is older."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marketplace_ai.classifier.classifier import Classifier
from marketplace_ai.classifier.cross_fitting import FOLDS
from marketplace_ai.classifier.exemplar_model import add_descriptions
from marketplace_ai.classifier.index import ExemplarIndex
from marketplace_ai.classifier.labeled import LabeledTexts
from marketplace_ai.classifier.linear_heads import to_class_ids
from marketplace_ai.classifier.near_duplicates import group_folds

Bools = npt.NDArray[np.bool_]

_BLOCK = 256


@dataclass(frozen=True, eq=False)
class Answers:
    """b labelled rows as one classifier answers them, both bool (b,): whether its first answer
    is right ("none of these" is an answer), and whether it gives a category without a person."""

    right: Bools
    automatic: Bools

    def take(self, rows: npt.NDArray[np.intp]) -> Answers:
        return Answers(self.right[rows], self.automatic[rows])


def out_of_fold(classifier: Classifier, rows: LabeledTexts) -> Answers:
    """How a classifier that was just fitted answers the rows that it was calibrated on."""
    scored, promise = classifier.out_of_fold, classifier.guarantee
    if scored is None or len(scored.first_choice) != len(rows):
        raise ValueError("the classifier was not just fitted on these rows")
    threshold = promise.automatic.threshold
    automated = {row.label for row in promise.categories if row.automated}
    labels = [classifier.classes[code] for code in scored.first_choice]
    reaches = scored.probability >= (np.inf if threshold is None else threshold)
    return Answers(
        _equal(labels, rows), np.array([x in automated for x in labels], dtype=bool) & reaches
    )


def of_today(
    old: Classifier,
    exemplars: LabeledTexts,
    own: npt.NDArray[np.intp],
    rows: LabeledTexts,
    groups: npt.NDArray[np.intp],
    seed: int,
    descriptions: LabeledTexts | None = None,
) -> Answers:
    """How an older classifier answers ``rows`` with the exemplars of now. ``own`` (n,) and
    ``groups`` (b,) number near-duplicates; exemplars in the group of a row are taken out while
    its fold is answered, as they are when a new classifier is cross-fitted. ``descriptions``
    vote with them."""
    index = old.new_index()
    _put(index, exemplars, np.arange(len(exemplars)))
    if descriptions is not None:
        add_descriptions(index, descriptions, len(exemplars))
    right, automatic = np.zeros(len(rows), dtype=bool), np.zeros(len(rows), dtype=bool)
    for fold in group_folds(groups, to_class_ids(rows.labels, old.classes), FOLDS, seed):
        twins = np.flatnonzero(np.isin(own, groups[fold]))
        index.update([], [], [], np.zeros((0, index.dimension), np.float32), twins.tolist())
        for start in range(0, len(fold) if len(index) else 0, _BLOCK):
            block = fold[start : start + _BLOCK]
            part = rows.take(block)
            verdicts = old.predict(index, part.vectors, part.texts)
            right[block] = _equal([verdict.label for verdict in verdicts], part)
            automatic[block] = [verdict.outcome == "automatic" for verdict in verdicts]
        _put(index, exemplars, twins)
    return Answers(right, automatic)


def _put(index: ExemplarIndex, exemplars: LabeledTexts, rows: npt.NDArray[np.intp]) -> None:
    part = exemplars.take(rows)
    index.update(rows.tolist(), part.texts, part.labels, part.vectors)


def _equal(labels: Sequence[str | None], rows: LabeledTexts) -> Bools:
    return np.array([x == y for x, y in zip(labels, rows.labels, strict=True)], dtype=bool)
