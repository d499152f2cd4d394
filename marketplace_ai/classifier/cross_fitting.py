"""Out-of-fold predictions: each labeled row by fits without its family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .calibration import Calibration
from .exemplar_model import ExemplarModel
from .labeled import LabeledTexts, find_kin
from .linear_heads import to_class_ids
from .near_duplicates import group_folds
from .opinion_pool import ModelScores, exemplar_prior
from .second_category import SecondCategories

FOLDS = 5
#: The same if exemplars stand in for postings. Each fold takes as many exemplars away from those
#: that score it as will be there in production, so it should be a small one.
FOLDS_OF_EXEMPLARS = 10


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Out-of-fold predictions for b labeled rows.

    ``model_scores`` and ``y_true`` (class ids; -1: a label that is no class), ``groups`` of
    one family each, and what fits without the row predicted: ``pooled`` scores (b, k), the
    ``first_choice`` (b,), its calibrated ``probability`` and the second categories.
    """

    model_scores: ModelScores
    y_true: npt.NDArray[np.intp]
    groups: npt.NDArray[np.intp]
    pooled: npt.NDArray[np.float64]
    first_choice: npt.NDArray[np.intp]
    probability: npt.NDArray[np.float64]
    second_categories: SecondCategories


def cross_fit(
    exemplar_model: ExemplarModel,
    exemplars: LabeledTexts,
    calibration: LabeledTexts | None,
    seed: int,
    rare: npt.NDArray[np.bool_],
    descriptions: LabeledTexts | None = None,
    votes: npt.NDArray[np.bool_] | None = None,
) -> OutOfFold:
    """Predict ``calibration`` (None: the exemplars themselves), each row by a fit without it.

    Folds keep families whole. An exemplar in the family of a row leaves the index and the fit that
    score it; if there is none such, ``exemplar_model`` serves every fold, because labeled postings
    are never fitted by it. Weights, prior correction and calibration are fitted on the other folds;
    the prior counts all exemplars. Of these only ``votes`` bool (n,) are in the index (None: all).
    ``descriptions`` vote in every fold, as they do in production, but for those of classes that
    are newer than the fit. ``rare``: see ``ExemplarModel.fit``.
    """
    classes = exemplar_model.classes
    if calibration is None and all(label is None for label in exemplars.labels):
        return _nothing(len(classes))
    none_index = classes.index(None)
    rows = exemplars if calibration is None else calibration
    families, groupings = find_kin(exemplars, calibration)
    y_true = to_class_ids(rows.labels, classes)
    count = FOLDS_OF_EXEMPLARS if calibration is None else FOLDS
    folds = group_folds(groupings[0][-len(rows) :], y_true, count, seed)
    model_scores, models = _score_folds(
        exemplar_model, exemplars, votes, descriptions, rows, groupings, folds, seed, rare
    )

    pooled = np.zeros((len(rows), len(classes)))
    first_choice = np.zeros(len(rows), dtype=np.intp)
    probability = np.zeros(len(rows))
    prior = exemplar_prior(to_class_ids(exemplars.labels, classes), rare)
    second_categories: list[SecondCategories] = []
    for fold, model in zip(folds, models, strict=True):
        others = np.setdiff1d(np.arange(len(rows)), fold)
        fitted = Calibration.fit(
            model_scores.take(others),
            y_true[others],
            prior,
            none_index,
            stream=calibration is not None,
        )
        scores = fitted.scores(model_scores.take(fold), none_index)
        pooled[fold] = scores.pooled
        first_choice[fold] = scores.first_choice
        probability[fold] = scores.probability
        fold_texts = [rows.texts[i] for i in fold]
        second_categories.append(model.second_categories(fold_texts, scores.pooled, none_index))
    order = np.argsort(np.concatenate(folds))
    return OutOfFold(
        model_scores,
        y_true,
        families[-len(rows) :],
        pooled,
        first_choice,
        probability,
        SecondCategories.concatenate(second_categories).take(order),
    )


def _nothing(num_classes: int) -> OutOfFold:
    """There is no row with a category to predict."""
    scores, codes = np.zeros((0, num_classes)), np.zeros(0, dtype=np.intp)
    return OutOfFold(
        ModelScores(scores, scores, scores, np.zeros(0)),
        codes,
        codes,
        scores,
        codes,
        np.zeros(0),
        SecondCategories(codes, np.zeros(0)),
    )


def _score_folds(
    exemplar_model: ExemplarModel,
    exemplars: LabeledTexts,
    votes: npt.NDArray[np.bool_] | None,
    descriptions: LabeledTexts | None,
    rows: LabeledTexts,
    groupings: list[npt.NDArray[np.intp]],
    folds: list[npt.NDArray[np.intp]],
    seed: int,
    rare: npt.NDArray[np.bool_],
) -> tuple[ModelScores, list[ExemplarModel]]:
    """The rows' model scores, and for each fold the exemplar model that gave them.

    ``groupings``: numbers for the exemplars, and then the rows; an exemplar that is in the group of
    a row by any of them does not teach it.
    """
    described = None if descriptions is None else _of_classes(descriptions, exemplar_model.classes)
    groups = [(each[: len(exemplars)], each[-len(rows) :]) for each in groupings]
    voting = np.ones(len(exemplars), dtype=np.bool_) if votes is None else votes
    if not any(np.isin(of_exemplars, of_rows).any() for of_exemplars, of_rows in groups):
        index = exemplar_model.index(exemplars.take(np.flatnonzero(voting)), described)
        return exemplar_model.score_rows(index, rows), [exemplar_model] * len(folds)
    parts: list[ModelScores] = []
    models: list[ExemplarModel] = []
    for fold in folds:
        near = [np.isin(of_exemplars, of_rows[fold]) for of_exemplars, of_rows in groups]
        kept = ~np.logical_or.reduce(near)
        taught = exemplars.take(np.flatnonzero(kept))
        model = ExemplarModel.fit(taught, exemplar_model.classes, seed, rare, descriptions)
        index = model.index(exemplars.take(np.flatnonzero(kept & voting)), described)
        parts.append(model.score_rows(index, rows.take(fold)))
        models.append(model)
    order = np.argsort(np.concatenate(folds))
    return ModelScores.concatenate(parts).take(order), models


def _of_classes(descriptions: LabeledTexts, classes: Sequence[str | None]) -> LabeledTexts:
    known = set(classes)
    numbers = [i for i, label in enumerate(descriptions.labels) if label in known]
    return descriptions.take(np.array(numbers, dtype=np.intp))
