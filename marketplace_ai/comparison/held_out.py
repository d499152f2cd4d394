"""Whether a promise holds on rows that took no part in finding its threshold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from marketplace_ai.classifier.classifier import Classifier
from marketplace_ai.classifier.cross_fitting import FOLDS
from marketplace_ai.classifier.near_duplicates import group_folds
from marketplace_ai.guarantee import minimum_counts
from marketplace_ai.guarantee.bounds import error_lower_bound
from marketplace_ai.guarantee.threshold_search import CalibrationSample, find_threshold


@dataclass(frozen=True, slots=True)
class HeldOut:
    """``rows`` that were given a category by thresholds which other rows proved, ``errors`` of
    them wrong (twins that are right count once). ``refuted``: more errors than the promise
    leaves believable."""

    rows: int
    errors: int
    refuted: bool


def held_out(classifier: Classifier, seed: int = 0) -> HeldOut:
    """Find the threshold of a category on all folds but one, and try it on that one.

    Of the labelled rows of a classifier that was just fitted. What the promise over all
    categories does not cover (too few exemplars) is left out, as it is when that is proven.
    """
    scored, promise = classifier.out_of_fold, classifier.guarantee
    if scored is None:
        raise ValueError("the classifier was not just fitted")
    covered = {
        row.label
        for row in promise.categories
        if (row.exemplars or 0) >= minimum_counts.MIN_EXEMPLARS_FOR_GUARANTEE
    }
    pooled = np.array([classifier.classes[code] in covered for code in scored.first_choice], dtype=bool)
    trial = CalibrationSample(scored.probability, scored.first_choice != scored.y_true, scored.groups)
    given = np.zeros(len(scored.first_choice), dtype=bool)
    target = promise.target
    for fold in group_folds(scored.groups, scored.y_true, FOLDS, seed):
        inside = np.zeros(len(given), dtype=bool)
        inside[fold] = True
        rule = find_threshold(trial.take(pooled & ~inside), len(given) - len(fold), target)
        if rule.threshold is not None:
            given |= pooled & inside & (scored.probability >= rule.threshold)
    rows, errors = trial.take(given).count_evidence()
    return HeldOut(rows, errors, error_lower_bound(errors, rows, target.confidence_level) > target.max_error_rate)
