"""Threshold search: the loosest threshold that keeps a target on a calibration sample.

Fixed-sequence testing of exact binomial bounds (Angelopoulos et al. 2021, "Learn then test").
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from . import minimum_counts
from .bounds import (
    TestedThreshold,
    error_lower_bound,
    error_upper_bound,
    fixed_sequence,
    rows_needed,
)
from .guarantee import CategoryGuarantee, Rule
from .target import Target

#: Thresholds tested, from the surest rows to all of them, in equal steps.
NUM_THRESHOLDS = 40
#: Errors that the first threshold survives, given enough rows. With one, a fourth of the searches
#: on resampled postings of the demo's catalogue end without a guarantee; with three or four, one
#: of fifty.
MAX_ERRORS_AT_FIRST = 4


@dataclass(frozen=True, eq=False)
class CalibrationSample:
    """The labeled rows that one rule may decide.

    ``score`` float (r,) is what the threshold is compared with, ``wrong`` bool (r,) whether the
    rule would be wrong, ``groups`` intp (r,) number the near-duplicates.
    """

    score: npt.NDArray[np.float64]
    wrong: npt.NDArray[np.bool_]
    groups: npt.NDArray[np.intp]

    def take(self, rows: npt.NDArray[np.bool_]) -> CalibrationSample:
        return CalibrationSample(self.score[rows], self.wrong[rows], self.groups[rows])

    def count_evidence(self) -> tuple[int, int]:
        """Independent rows, and how many of them are errors.

        Near-duplicates that are right are one row: they could not have come out differently. Each
        wrong row counts, because the guarantee is about postings, and a template that is tagged
        wrongly sixty times is sixty wrong postings.
        """
        errors = int(self.wrong.sum())
        right = len(np.unique(self.groups)) - len(np.unique(self.groups[self.wrong]))
        return right + errors, errors

    def thresholds(self, target: Target) -> Iterator[TestedThreshold]:
        """Thresholds from strict to loose, fixed by how many groups reach them.

        Sizes depend on the number of rows and the target alone, never on which rows are wrong.
        The first survives as many errors as it can: one that allows none, or only one, would end
        most searches by bad luck. The last includes every row.
        """
        total = len(np.unique(self.groups))
        first = _first_size(total, target)
        order = np.argsort(-self.score, kind="stable")
        ranked = self.score[order]
        # A group counts from its surest row on, so the k-th group to appear makes size k.
        appears = np.sort(np.unique(self.groups[order], return_index=True)[1])
        sizes = {first, *np.linspace(0, total, NUM_THRESHOLDS + 1).astype(int), total}
        for size in sorted(size for size in sizes if first <= size <= total):
            threshold = float(ranked[appears[size - 1]] if size < total else ranked[-1])
            rows, errors = self.take(self.score >= threshold).count_evidence()
            yield TestedThreshold(threshold, rows, errors)


def _first_size(total: int, target: Target) -> int:
    """The fewest rows that prove the target in spite of ``MAX_ERRORS_AT_FIRST`` errors; fewer
    errors if that is more than half of all rows, which together may not be good enough; one
    error whenever there are rows for it."""
    none, one, *more = (rows_needed(target, errors) for errors in range(MAX_ERRORS_AT_FIRST + 1))
    usual = one if one <= total else none
    return max((size for size in more if size <= total / 2), default=usual)


def find_threshold(sample: CalibrationSample, total: int, target: Target) -> Rule:
    """Find the loosest threshold that keeps the target.

    ``total`` counts the labeled rows of every kind, as the denominator of the coverage. The
    returned rule has no threshold if not even the first one keeps the target.

    >>> sample = CalibrationSample(np.linspace(1, 0, 200), np.zeros(200, bool), np.arange(200))
    >>> find_threshold(sample, 200, Target()).errors
    0
    """
    level = target.confidence_level
    passed = fixed_sequence(sample.thresholds(target), target)
    if passed is None:
        first = next(sample.thresholds(target), None)
        rows, errors = (first.rows, first.errors) if first else sample.count_evidence()
        missing = max(0, rows_needed(target, errors) - rows)
        bound = error_upper_bound(errors, rows, level)
        return Rule(None, len(sample.wrong), rows, errors, 0.0, bound, missing)
    rows, errors = passed.rows, passed.errors
    bound = error_upper_bound(errors, rows, level)
    coverage = int((sample.score >= passed.threshold).sum()) / max(total, 1)
    return Rule(passed.threshold, len(sample.wrong), rows, errors, coverage, bound, 0)


def category_guarantees(
    names: Sequence[str],
    y_true: npt.NDArray[np.intp],
    first_choice: npt.NDArray[np.intp],
    sample: CalibrationSample,
    exemplars: npt.NDArray[np.intp],
    target: Target,
) -> tuple[CategoryGuarantee, ...]:
    """What each category's own rows prove.

    ``sample`` holds every labeled row, with a score of -inf if it is not automatic;
    ``exemplars`` (k,) counts each category's.

    Each question is asked of many categories, so the confidence level is corrected for that
    (Bonferroni): the probability that any category is refuted by bad luck alone, or that any one
    outside the overall guarantee is proven by good luck, is at most 1 - confidence level.
    """
    automatic = np.isfinite(sample.score)
    few = exemplars[: len(names)] < minimum_counts.MIN_EXEMPLARS_FOR_GUARANTEE
    outside = _corrected(target, int(few.sum()))
    refuting = _corrected(target, len(np.unique(first_choice[automatic]))).confidence_level
    guarantees = []
    for category, name in enumerate(names):
        rows, errors = sample.take(automatic & (first_choice == category)).count_evidence()
        asked = outside if few[category] else target
        proven = error_upper_bound(errors, rows, asked.confidence_level) <= target.max_error_rate
        refuted = error_lower_bound(errors, rows, refuting) > target.max_error_rate
        guarantees.append(
            CategoryGuarantee(
                label=name,
                rows=int((y_true == category).sum()),
                automatic=rows,
                errors=errors,
                has_own_guarantee=proven,
                automated=proven or not (few[category] or refuted),
                rows_needed=max(0, rows_needed(asked, errors) - rows),
                exemplars=int(exemplars[category]),
            )
        )
    return tuple(guarantees)


def _corrected(target: Target, tests: int) -> Target:
    """The target at the confidence level that each of ``tests`` tests must reach."""
    return replace(target, confidence_level=1 - (1 - target.confidence_level) / max(tests, 1))
