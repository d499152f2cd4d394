"""Promotion checks: what a candidate must not do worse than the active encoder.

Each failed check is a ``FailedCheck`` with one sentence in ``promotion.wording``.
"""

from __future__ import annotations

from collections.abc import Iterator

from marketplace_ai.comparison.paired_tests import SIGNIFICANCE
from marketplace_ai.comparison.report import (
    EncoderComparison,
    FailedCheck,
    PairedDifference,
    UnlikeRows,
)
from marketplace_ai.comparison.version_comparison import MAX_COVERAGE_DROP
from marketplace_ai.guarantee.guarantee import Guarantee

#: A smaller relative drop of coverage is none, however significant: one threshold decides all rows
#: at once and moves this far with a single error more, so the rows are not independent evidence.
NEGLIGIBLE_COVERAGE_DROP = 0.05


def failed_checks(
    new: Guarantee,
    old: Guarantee,
    results: EncoderComparison,
    serving: Guarantee | None = None,
    *,
    train_test_overlap: bool = False,
) -> Iterator[FailedCheck]:
    """The checks that the new encoder fails; none where it may become active.

    - WEAKER_TARGET: a lower target or confidence level than that of ``serving``, what decides
      today.
    - ACCURACY_DROP: its first choice is correct less often, and significantly so.
    - NO_THRESHOLD: it proves no threshold for a category, and the old encoder does; or ``serving``
      has one, unless a stricter target is asked for.
    - GUARANTEE_REFUTED: rows held out from its threshold search refute its guarantee, and do not
      refute that of the old encoder.
    - COVERAGE_DROP: fewer rows are automatic, by more than ``MAX_COVERAGE_DROP``, or significantly
      and by more than ``NEGLIGIBLE_COVERAGE_DROP``.
    - TRAIN_TEST_OVERLAP: it may have been fine-tuned on the rows (the caller says so).
    - UNLIKE_ACCURACY_DROP, UNLIKE_COVERAGE_DROP: as above, on texts unlike the exemplars.
    - UNLIKE_ERRORS: it gives such texts a wrong category without a person more often, and
      significantly so.
    """
    if serving is not None and _is_stricter(serving, new):
        yield FailedCheck.WEAKER_TARGET
    if results.first_choice.p_value < SIGNIFICANCE:
        yield FailedCheck.ACCURACY_DROP
    if new.automatic.threshold is None:
        if _has_threshold(new, old, serving):
            yield FailedCheck.NO_THRESHOLD
    else:
        if results.new.held_out.refuted and not results.old.held_out.refuted:
            yield FailedCheck.GUARANTEE_REFUTED
        if _coverage_drops(results.automatic):
            yield FailedCheck.COVERAGE_DROP
    if train_test_overlap:
        yield FailedCheck.TRAIN_TEST_OVERLAP
    if results.unlike is not None:
        yield from _failed_on_unlike(results.unlike)


def _failed_on_unlike(results: UnlikeRows) -> Iterator[FailedCheck]:
    if results.first_choice.p_value < SIGNIFICANCE:
        yield FailedCheck.UNLIKE_ACCURACY_DROP
    if _coverage_drops(results.automatic):
        yield FailedCheck.UNLIKE_COVERAGE_DROP
    if results.harmless.p_value < SIGNIFICANCE:
        yield FailedCheck.UNLIKE_ERRORS


def _is_stricter(new: Guarantee, old: Guarantee) -> bool:
    return new.target.is_stricter_than(old.target)


def _has_threshold(new: Guarantee, old: Guarantee, serving: Guarantee | None) -> bool:
    """Whether something is automatic with the old encoder, or today at no stricter a target."""
    if old.automatic.threshold is not None:
        return True
    if serving is None or _is_stricter(new, serving):
        return False
    return serving.automatic.threshold is not None


def _coverage_drops(automatic: PairedDifference) -> bool:
    kept = automatic.new / automatic.old if automatic.old else 1.0
    significant = automatic.p_value < SIGNIFICANCE and kept < 1 - NEGLIGIBLE_COVERAGE_DROP
    return kept < 1 - MAX_COVERAGE_DROP or significant
