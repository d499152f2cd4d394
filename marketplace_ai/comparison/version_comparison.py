"""Comparison of a refit with the active version: both predict the same labeled rows, which neither
was fitted on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from marketplace_ai.classifier.classifier import Classifier
from marketplace_ai.classifier.cross_fitting import FOLDS, FOLDS_OF_EXEMPLARS
from marketplace_ai.classifier.labeled import LabeledTexts, find_kin
from marketplace_ai.guarantee.guarantee import Guarantee

from .paired_tests import SIGNIFICANCE, Bools, sign_test
from .report import FailedCheck, VersionComparison
from .scoring import replay_current, score_out_of_fold

#: Coverage may drop by this share of itself. A threshold found by an exact bound moves by several
#: steps with one error more, so a smaller limit would reject good refits.
MAX_COVERAGE_DROP = 0.2


def compare_versions(
    new: Classifier,
    old: Classifier,
    exemplars: LabeledTexts,
    rows: LabeledTexts | None,
    seen: Bools,
    seed: int = 0,
    descriptions: LabeledTexts | None = None,
    old_votes: Bools | None = None,
) -> VersionComparison:
    """Compare a classifier that was just fitted with an older one, on the rows of that fit.

    ``exemplars``, ``descriptions`` and ``rows`` are those that ``new`` was fitted with (rows None:
    it was cross-validated on the exemplars). ``seen`` bool (n,) says which exemplars existed when
    ``old`` was fitted, and ``old_votes`` bool (n,) which of them vote in it (None: all).

    The new classifier is scored out of fold. The old one is scored as it would decide today: its
    fitted parts with today's exemplars, except those that must not teach a row of the fold, because
    they would give it the label (the new one does without them too). Rows of the family of an
    exemplar that the old one was fitted on, and near-duplicates of one, are left out for both.
    Raises ValueError for a ``new`` that was not just fitted.
    """
    labeled = exemplars if rows is None else rows
    families, groupings = find_kin(exemplars, rows)
    fitted_on = [
        np.isin(each[-len(labeled) :], each[: len(exemplars)][seen])
        for each in (families, *groupings[1:])
    ]
    unseen = np.flatnonzero(~np.logical_or.reduce(fitted_on))
    groups = families[-len(labeled) :][unseen]
    new_scored = score_out_of_fold(new, labeled).take(unseen)
    old_scored = replay_current(
        old,
        exemplars,
        labeled.take(unseen),
        [(each[: len(exemplars)], each[-len(labeled) :][unseen]) for each in groupings],
        FOLDS_OF_EXEMPLARS if rows is None else FOLDS,
        seed,
        descriptions,
        old_votes,
    )
    correct = sign_test(new_scored.correct, old_scored.correct, groups)
    automatic = sign_test(new_scored.automatic, old_scored.automatic, groups)
    return VersionComparison(
        rows=len(unseen),
        left_out=len(labeled) - len(unseen),
        new=new_scored.counts(),
        old=old_scored.counts(),
        gained=correct.gained,
        lost=correct.lost,
        p_value=correct.p_value,
        automatic_gained=automatic.gained,
        automatic_lost=automatic.lost,
        automatic_p_value=automatic.p_value,
    )


def failed_checks(
    new: Guarantee, old: Guarantee, results: VersionComparison | None
) -> Iterator[FailedCheck]:
    """The checks that the new version fails; none where it may become active.

    - ACCURACY_DROP: its first choice is correct less often, and significantly so.
    - NO_THRESHOLD, COVERAGE_DROP: nothing, or fewer rows, are automatic. Not checked where the new
      guarantee is stricter, which costs coverage.
    """
    if results is not None and accuracy_drops(results):
        yield FailedCheck.ACCURACY_DROP
    if new.target.is_stricter_than(old.target):
        return
    if new.automatic.threshold is None and old.automatic.threshold is not None:
        yield FailedCheck.NO_THRESHOLD
    elif results is not None and coverage_drops(results):
        yield FailedCheck.COVERAGE_DROP


def accuracy_drops(results: VersionComparison) -> bool:
    return results.p_value < SIGNIFICANCE


def coverage_drops(results: VersionComparison) -> bool:
    """Whether fewer rows are automatic, by more than ``MAX_COVERAGE_DROP`` and significantly."""
    drops = results.new.automatic < (1 - MAX_COVERAGE_DROP) * results.old.automatic
    return drops and results.automatic_p_value < SIGNIFICANCE
