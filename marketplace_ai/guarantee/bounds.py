"""Exact bounds on an error rate, and the threshold search that they make safe."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from scipy.stats import beta


def error_upper_bound(errors: int, rows: int, confidence: float) -> float:
    """Largest error rate that ``errors`` of ``rows`` leave believable (one-sided, exact).

    Clopper and Pearson (1934): with probability ``confidence`` at least, the true rate is
    not above it. 1.0 where there are no rows.
    """
    _check(errors, rows)
    if errors == rows:
        return 1.0
    return float(beta.ppf(confidence, errors + 1, rows - errors))


def error_lower_bound(errors: int, rows: int, confidence: float) -> float:
    """Smallest error rate that ``errors`` of ``rows`` leave believable (one-sided, exact)."""
    _check(errors, rows)
    if errors == 0:
        return 0.0
    return float(beta.ppf(1 - confidence, errors, rows - errors + 1))


def rows_needed(target_precision: float, confidence: float, errors: int = 0) -> int:
    """Fewest rows on which ``errors`` errors still prove ``target_precision``.

    None wrong needs 99 rows for 0.97 at 0.95; one wrong needs 157.
    """
    if not 0 < target_precision < 1 or not 0 < confidence < 1:
        raise ValueError("target precision and confidence lie between 0 and 1, both excluded")
    allowed = 1 - target_precision
    low, high = errors, errors + 1
    while error_upper_bound(errors, high, confidence) > allowed:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        if error_upper_bound(errors, middle, confidence) > allowed:
            low = middle
        else:
            high = middle
    return high


@dataclass(frozen=True, slots=True)
class TestedThreshold:
    """One threshold of a search: the rows that reach it, and how many of them are wrong."""

    threshold: float
    rows: int
    errors: int


def fixed_sequence(
    steps: Iterable[TestedThreshold], target_precision: float, confidence: float
) -> TestedThreshold | None:
    """The last of the thresholds that keep the promise, tested in the order given.

    The order must be fixed without looking at the errors, and the search ends at the first
    threshold that fails: then the chance that any threshold passes which breaks the promise
    is at most 1 - confidence, however many are tested (fixed-sequence testing).
    """
    passed = None
    for step in steps:
        if error_upper_bound(step.errors, step.rows, confidence) > 1 - target_precision:
            break
        passed = step
    return passed


def _check(errors: int, rows: int) -> None:
    if not 0 <= errors <= rows:
        raise ValueError(f"{errors} errors in {rows} rows: errors lie between 0 and the rows")
