"""Exact bounds on an error rate, and the fixed-sequence test built on them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from scipy.stats import beta

from .rows_needed import rows_needed as rows_needed
from .target import Target


def error_upper_bound(errors: int, rows: int, confidence_level: float) -> float:
    """Upper confidence bound on the error rate behind ``errors`` in ``rows`` (one-sided, exact).

    Clopper and Pearson (1934): the true rate is at most this with probability
    ``confidence_level`` or more. 1.0 without rows. Raises ValueError unless
    0 <= errors <= rows.

    >>> round(error_upper_bound(0, 99, 0.95), 4)
    0.0298
    """
    _check(errors, rows)
    if errors == rows:
        return 1.0
    return float(beta.ppf(confidence_level, errors + 1, rows - errors))


def error_lower_bound(errors: int, rows: int, confidence_level: float) -> float:
    """Lower confidence bound on the error rate behind ``errors`` in ``rows`` (one-sided, exact)."""
    _check(errors, rows)
    if errors == 0:
        return 0.0
    return float(beta.ppf(1 - confidence_level, errors, rows - errors + 1))


@dataclass(frozen=True, slots=True)
class TestedThreshold:
    """One threshold of a search: the rows that reach it, and how many of them are wrong."""

    __test__ = False  # not a test class of pytest

    threshold: float
    rows: int
    errors: int


def fixed_sequence(thresholds: Iterable[TestedThreshold], target: Target) -> TestedThreshold | None:
    """The last threshold that keeps ``target``, tested in the order given; None if none does.

    The order must be fixed without looking at the errors, and the search ends at the first
    threshold that fails. Then the probability that a threshold passes which breaks the target is
    at most 1 - confidence level, however many are tested (fixed-sequence testing).
    """
    passed = None
    for tested in thresholds:
        bound = error_upper_bound(tested.errors, tested.rows, target.confidence_level)
        if bound > target.max_error_rate:
            break
        passed = tested
    return passed


def _check(errors: int, rows: int) -> None:
    if not 0 <= errors <= rows:
        raise ValueError(f"{errors} errors in {rows} rows: errors lie between 0 and the rows")
