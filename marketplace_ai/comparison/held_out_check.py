"""Held-out check of a guarantee: thresholds are tested on rows that they were not found on."""

from __future__ import annotations

import numpy as np

from marketplace_ai.classifier.classifier import Classifier
from marketplace_ai.classifier.counted_rows import counted_rows
from marketplace_ai.classifier.cross_fitting import FOLDS
from marketplace_ai.classifier.near_duplicates import group_folds
from marketplace_ai.guarantee import minimum_counts
from marketplace_ai.guarantee.bounds import error_lower_bound
from marketplace_ai.guarantee.threshold_search import CalibrationSample, find_threshold

from .report import HeldOutCheck


def check_held_out(classifier: Classifier, seed: int = 0) -> HeldOutCheck:
    """Find the threshold for a category on all folds but one, and count its errors on that one.

    Uses the labeled rows of a classifier that was just fitted, and raises ValueError for another
    one. Categories that the overall guarantee does not cover (too few exemplars) are left out, as
    they are in its threshold search.
    """
    scores, guarantee = classifier.out_of_fold, classifier.guarantee
    if scores is None:
        raise ValueError("the classifier was not just fitted")
    scores = counted_rows(scores, classifier.counted)
    covered = {
        row.label
        for row in guarantee.categories
        if (row.exemplars or 0) >= minimum_counts.MIN_EXEMPLARS_FOR_GUARANTEE
    }
    eligible = np.array(
        [classifier.classes[code] in covered for code in scores.first_choice], dtype=bool
    )
    sample = CalibrationSample(
        scores.probability, scores.first_choice != scores.y_true, scores.groups
    )
    automatic = np.zeros(len(scores.first_choice), dtype=bool)
    target = guarantee.target
    for fold in group_folds(scores.groups, scores.y_true, FOLDS, seed):
        in_fold = np.zeros(len(automatic), dtype=bool)
        in_fold[fold] = True
        others = len(automatic) - len(fold)
        rule = find_threshold(sample.take(eligible & ~in_fold), others, target)
        if rule.threshold is not None:
            automatic |= eligible & in_fold & (scores.probability >= rule.threshold)
    rows, errors = sample.take(automatic).count_evidence()
    return HeldOutCheck(
        rows,
        errors,
        error_lower_bound(errors, rows, target.confidence_level) > target.max_error_rate,
    )
