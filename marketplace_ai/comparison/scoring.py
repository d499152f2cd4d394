"""Labeled rows scored by one classifier: by one that was just fitted, or by an older one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marketplace_ai.classifier.classifier import Classifier
from marketplace_ai.classifier.cross_fitting import OutOfFold
from marketplace_ai.classifier.exemplar_model import add_descriptions
from marketplace_ai.classifier.index import ExemplarIndex
from marketplace_ai.classifier.labeled import LabeledTexts
from marketplace_ai.classifier.linear_heads import to_class_ids
from marketplace_ai.classifier.near_duplicates import group_folds

from .paired_tests import Bools, Groups
from .report import Counts

_BLOCK = 256


@dataclass(frozen=True, eq=False)
class Scored:
    """b labeled rows by one classifier, both bool (b,): whether its first choice is ``correct``
    ("none" is a choice), and whether it gives a category without a person (``automatic``)."""

    correct: Bools
    automatic: Bools

    def take(self, rows: npt.NDArray[np.intp]) -> Scored:
        return Scored(self.correct[rows], self.automatic[rows])

    def counts(self) -> Counts:
        errors = self.automatic & ~self.correct
        return Counts(int(self.correct.sum()), int(self.automatic.sum()), int(errors.sum()))


def out_of_fold(classifier: Classifier, rows: LabeledTexts) -> OutOfFold:
    """The out-of-fold scores of a fit; ValueError if it was not just fitted on these rows."""
    scores = classifier.out_of_fold
    if scores is None or len(scores.first_choice) != len(rows):
        raise ValueError("the classifier was not just fitted on these rows")
    return scores


def score_out_of_fold(classifier: Classifier, rows: LabeledTexts) -> Scored:
    """Score the rows that a classifier was just calibrated on, by its out-of-fold scores."""
    scores, guarantee = out_of_fold(classifier, rows), classifier.guarantee
    threshold = guarantee.automatic.threshold
    automated = {row.label for row in guarantee.categories if row.automated}
    labels = [classifier.classes[code] for code in scores.first_choice]
    certain = scores.probability >= (np.inf if threshold is None else threshold)
    is_automated = np.array([label in automated for label in labels], dtype=bool)
    return Scored(_correct(labels, rows), is_automated & certain)


def replay_current(
    old: Classifier,
    exemplars: LabeledTexts,
    rows: LabeledTexts,
    groupings: Sequence[tuple[Groups, Groups]],
    count: int,
    seed: int,
    descriptions: LabeledTexts | None = None,
    votes: Bools | None = None,
) -> Scored:
    """Score ``rows`` by an older classifier with the exemplars and descriptions of today.

    ``groupings`` are those of ``find_kin``, of exemplars (n,) and rows (b,). As in
    cross-fitting, exemplars in the group of a row leave the index while its fold, one of ``count``,
    is scored. Only those of ``votes`` bool (n,) are in it (None: all).
    """
    index = old.new_index()
    voting = np.ones(len(exemplars), dtype=bool) if votes is None else votes
    _add(index, exemplars, np.flatnonzero(voting))
    if descriptions is not None:
        add_descriptions(index, descriptions, len(exemplars))
    correct, automatic = np.zeros(len(rows), dtype=bool), np.zeros(len(rows), dtype=bool)
    y_true = to_class_ids(rows.labels, old.classes)
    for fold in group_folds(groupings[0][1], y_true, count, seed):
        near = [np.isin(of_exemplars, of_rows[fold]) for of_exemplars, of_rows in groupings]
        kin = np.flatnonzero(voting & np.logical_or.reduce(near))
        _remove(index, kin)
        for start in range(0, len(fold) if len(index) else 0, _BLOCK):
            block = fold[start : start + _BLOCK]
            part = rows.take(block)
            verdicts = old.predict(index, part.vectors, part.texts)
            correct[block] = _correct([verdict.label for verdict in verdicts], part)
            automatic[block] = [verdict.outcome == "automatic" for verdict in verdicts]
        _add(index, exemplars, kin)
    return Scored(correct, automatic)


def score_new_rows(
    classifier: Classifier,
    exemplars: LabeledTexts,
    descriptions: LabeledTexts | None,
    rows: LabeledTexts,
) -> Scored:
    """Score rows that a classifier was neither fitted nor calibrated on, as a worker would."""
    index = classifier.exemplar_model.index(exemplars, descriptions)
    correct, automatic = np.zeros(len(rows), dtype=bool), np.zeros(len(rows), dtype=bool)
    for start in range(0, len(rows), _BLOCK):
        block = np.arange(start, min(start + _BLOCK, len(rows)))
        part = rows.take(block)
        verdicts = classifier.predict(index, part.vectors, part.texts)
        correct[block] = _correct([verdict.label for verdict in verdicts], part)
        automatic[block] = [verdict.outcome == "automatic" for verdict in verdicts]
    return Scored(correct, automatic)


def _add(index: ExemplarIndex, exemplars: LabeledTexts, rows: npt.NDArray[np.intp]) -> None:
    part = exemplars.take(rows)
    index.update(rows.tolist(), part.texts, part.labels, part.vectors)


def _remove(index: ExemplarIndex, rows: npt.NDArray[np.intp]) -> None:
    index.update([], [], [], np.zeros((0, index.dimension), np.float32), rows.tolist())


def _correct(labels: Sequence[str | None], rows: LabeledTexts) -> Bools:
    return np.array([x == y for x, y in zip(labels, rows.labels, strict=True)], dtype=bool)
