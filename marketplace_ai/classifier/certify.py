"""The guarantee of a classifier, certified on out-of-fold predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from marketplace_ai.guarantee import minimum_counts
from marketplace_ai.guarantee.guarantee import Guarantee, Rule
from marketplace_ai.guarantee.target import Target
from marketplace_ai.guarantee.threshold_search import (
    CalibrationSample,
    category_guarantees,
    find_threshold,
)

from . import second_category
from .cross_fitting import OutOfFold
from .exemplar_model import Classes
from .taxonomy import parent_columns, sum_by_parent


def certify(
    out_of_fold: OutOfFold,
    classes: Classes,
    parents: Mapping[str, str | None],
    exemplars: npt.NDArray[np.intp],
    *,
    target: Target,
    calibrated_on: str,
) -> Guarantee:
    """Prove each rule on the rows it would decide, in the order in which rules are tried.

    ``exemplars`` (k,) counts each class's. The overall guarantee is proven on rows whose first
    choice had enough of them, and covers those; another category is decided at the same threshold
    if its own rows prove the target.
    """
    none_index = classes.index(None)
    total = len(out_of_fold.y_true)
    sample = leaf_sample(out_of_fold)
    is_leaf = out_of_fold.first_choice != none_index

    enough = exemplars >= minimum_counts.MIN_EXEMPLARS_FOR_GUARANTEE
    covered = is_leaf & enough[out_of_fold.first_choice]
    automatic = find_threshold(sample.take(covered), total, target)
    threshold = np.inf if automatic.threshold is None else automatic.threshold
    reaches = is_leaf & (out_of_fold.probability >= threshold)
    categories = category_guarantees(
        [name for name in classes if name is not None],
        out_of_fold.y_true,
        out_of_fold.first_choice,
        replace(sample, score=np.where(reaches, sample.score, -np.inf)),
        exemplars,
        target,
    )
    # Refuted categories are found by looking at the errors, so what remains is no independent
    # test: the counts and the bound stay those that were proven, with them included.
    left_out = [classes.index(row.label) for row in categories if not row.automated]
    decided = reaches & ~np.isin(out_of_fold.first_choice, left_out)
    automatic = replace(automatic, coverage=int(decided.sum()) / max(total, 1))

    return Guarantee(
        target=target,
        calibrated_on=calibrated_on,
        rows=total,
        groups=len(np.unique(out_of_fold.groups)),
        unknown_labels=int((out_of_fold.y_true < 0).sum()),
        first_choice=_first_choice_accuracy(out_of_fold, none_index),
        automatic=automatic,
        none=find_threshold(sample.take(~is_leaf), total, target),
        parent=_parent_rule(out_of_fold, classes, parents, decided, target),
        second_category=second_category.find_threshold(
            out_of_fold.second_categories,
            out_of_fold.y_true,
            out_of_fold.groups,
            target.confidence_level,
        ),
        categories=categories,
    )


def leaf_sample(out_of_fold: OutOfFold) -> CalibrationSample:
    """Every labeled row, with the calibrated probability of its first choice as the score."""
    wrong = out_of_fold.first_choice != out_of_fold.y_true
    return CalibrationSample(out_of_fold.probability, wrong, out_of_fold.groups)


def _first_choice_accuracy(out_of_fold: OutOfFold, none_index: int) -> float | None:
    rows = out_of_fold.y_true != none_index
    if not rows.any():
        return None
    categories = out_of_fold.pooled[rows].copy()
    categories[:, none_index] = -1.0
    return float((categories.argmax(axis=1) == out_of_fold.y_true[rows]).mean())


def _parent_rule(
    out_of_fold: OutOfFold,
    classes: Classes,
    parents: Mapping[str, str | None],
    decided: npt.NDArray[np.bool_],
    target: Target,
) -> Rule:
    """Prove the parent on every row that no leaf decides, as it is asked at run time."""
    parent_names, columns = parent_columns(classes, parents)
    y_true = out_of_fold.y_true
    eligible = ~decided & (out_of_fold.first_choice != classes.index(None)) & bool(parent_names)
    sums = sum_by_parent(out_of_fold.pooled, columns, max(len(parent_names), 1))
    best = sums.argmax(axis=1)
    true_parent = np.where(y_true >= 0, columns[y_true], -1)
    sample = CalibrationSample(sums.max(axis=1), best != true_parent, out_of_fold.groups)
    return find_threshold(sample.take(eligible), len(y_true), target)
