"""Scores for labelled rows from fits that none of their near-duplicates took part in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .calibration import Calibration
from .exemplar_model import ExemplarModel, has_description
from .labeled import LabeledTexts
from .linear_heads import class_ids
from .near_duplicates import group_folds, near_duplicate_groups
from .opinion_pool import ModelScores, exemplar_prior
from .second_category import SecondCategories

FOLDS = 5


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """b labelled rows: evidence and right y_true (columns; -1: no such label), their
    near-duplicate groups, and pooled scores, probabilities and second jobs that fitted
    nothing."""

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
    rows: LabeledTexts | None,
    seed: int,
    descriptions: LabeledTexts | None = None,
) -> OutOfFold:
    """Score ``rows`` (None: the exemplars themselves), each by a fit that never saw it.

    The rows are dealt into folds by near-duplicate group. An exemplar in the group of a row
    leaves the index and the fit that score it; where there is none such, the whole exemplar_model
    serves, for no labelled posting ever fits it. Weights, shift and curve are fitted on the
    other folds; the prior counts all exemplars. ``descriptions`` of the labels vote in every
    fold, as they do in life.
    """
    names = exemplar_model.classes
    none = names.index(None)
    scored = exemplars if rows is None else rows
    texts = [*exemplars.texts] if rows is None else [*exemplars.texts, *rows.texts]
    groups = near_duplicate_groups(texts)
    own, groups = groups[: len(exemplars)], groups[-len(scored) :]
    y_true = class_ids(scored.labels, names)
    held_out = group_folds(groups, y_true, FOLDS, seed)
    evidence, models = _evidence(
        exemplar_model, exemplars, descriptions, own, scored, groups, held_out, seed
    )

    pooled = np.zeros((len(scored), len(names)))
    first = np.zeros(len(scored), dtype=np.intp)
    probability = np.zeros(len(scored))
    described = has_description(descriptions, names)
    prior = exemplar_prior(class_ids(exemplars.labels, names), described)
    seconds: list[SecondCategories] = []
    for fold, part in zip(held_out, models, strict=True):
        others = np.setdiff1d(np.arange(len(scored)), fold)
        fitted = Calibration.fit(
            evidence.take(others), y_true[others], prior, none, stream=rows is not None
        )
        scores = fitted.scores(evidence.take(fold), none)
        pooled[fold], first[fold], probability[fold] = (
            scores.pooled,
            scores.first_choice,
            scores.probability,
        )
        seconds.append(part.second_jobs([scored.texts[i] for i in fold], scores.pooled, none))
    order = np.argsort(np.concatenate(held_out))
    found = SecondCategories.concatenate(seconds).take(order)
    return OutOfFold(evidence, y_true, groups, pooled, first, probability, found)


def _evidence(
    exemplar_model: ExemplarModel,
    exemplars: LabeledTexts,
    descriptions: LabeledTexts | None,
    own: npt.NDArray[np.intp],
    scored: LabeledTexts,
    groups: npt.NDArray[np.intp],
    held_out: list[npt.NDArray[np.intp]],
    seed: int,
) -> tuple[ModelScores, list[ExemplarModel]]:
    """The rows' evidence, and for each fold the exemplar_model that gave it."""
    if not np.isin(own, groups).any():
        index = exemplar_model.index(exemplars, descriptions)
        return exemplar_model.model_scores(index, scored), [exemplar_model] * len(held_out)
    parts: list[ModelScores] = []
    models: list[ExemplarModel] = []
    for fold in held_out:
        kept = np.flatnonzero(~np.isin(own, groups[fold]))
        left = exemplars.take(kept)
        part = ExemplarModel.fit(left, exemplar_model.classes, seed, descriptions)
        parts.append(part.model_scores(part.index(left, descriptions), scored.take(fold)))
        models.append(part)
    order = np.argsort(np.concatenate(held_out))
    return ModelScores.concatenate(parts).take(order), models
