"""The exact bound agrees with scipy's own test, and the search keeps its word."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from marketplace_ai.guarantee.bounds import (
    TestedThreshold,
    error_lower_bound,
    error_upper_bound,
    fixed_sequence,
    rows_needed,
)
from marketplace_ai.guarantee.target import Target

counts = st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
confidences = st.floats(0.5, 0.999)


@given(counts, confidences)
@pytest.mark.slow
def test_the_bounds_are_those_of_the_exact_binomial_test(
    count: tuple[int, int], confidence: float
) -> None:
    errors, rows = count
    less = binomtest(errors, rows, alternative="less").proportion_ci(confidence, "exact")
    more = binomtest(errors, rows, alternative="greater").proportion_ci(confidence, "exact")
    assert error_upper_bound(errors, rows, confidence) == pytest.approx(less.high, abs=1e-9)
    assert error_lower_bound(errors, rows, confidence) == pytest.approx(more.low, abs=1e-9)


@given(st.floats(0.8, 0.995), st.floats(0.6, 0.99), st.integers(0, 12))
def test_rows_needed_is_the_smallest_number_that_proves_the_target(
    target: float, confidence: float, errors: int
) -> None:
    rows = rows_needed(Target(target, confidence), errors)
    assert error_upper_bound(errors, rows, confidence) <= 1 - target
    assert error_upper_bound(errors, rows - 1, confidence) > 1 - target


def test_no_error_needs_99_rows_for_97_percent_at_95() -> None:
    assert [rows_needed(Target(), errors) for errors in (0, 1, 2)] == [99, 157, 208]


def test_no_rows_prove_nothing() -> None:
    assert error_upper_bound(0, 0, 0.95) == 1.0
    assert error_lower_bound(0, 0, 0.95) == 0.0


@pytest.mark.parametrize(("errors", "rows"), [(-1, 5), (6, 5)])
def test_impossible_counts_are_refused(errors: int, rows: int) -> None:
    with pytest.raises(ValueError, match="errors lie between"):
        error_upper_bound(errors, rows, 0.95)


@pytest.mark.parametrize(("target", "confidence"), [(1.0, 0.95), (0.97, 1.0), (0, 0.9)])
def test_a_promise_of_certainty_is_refused(target: float, confidence: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        rows_needed(Target(target, confidence))


def test_the_search_ends_at_the_first_failure() -> None:
    steps = [
        TestedThreshold(0.9, 120, 0),
        TestedThreshold(0.8, 160, 1),
        TestedThreshold(0.7, 200, 9),
        TestedThreshold(0.6, 2000, 9),
    ]
    assert fixed_sequence(steps, Target()) == steps[1]
    assert fixed_sequence(steps[2:], Target()) is None
    assert fixed_sequence([], Target()) is None


def test_a_threshold_that_breaks_the_promise_is_rarely_chosen() -> None:
    """Every threshold is wrong 4 times in 100 at a promise of 3; 1,000 searches."""
    random = np.random.default_rng(7)
    broken = 0
    for _ in range(1000):
        wrong = np.cumsum(random.random(900) < 0.04)
        steps = [TestedThreshold(-n, n, int(wrong[n - 1])) for n in range(99, 900, 20)]
        broken += fixed_sequence(steps, Target()) is not None
    # At most 50 are expected; 70 is three standard deviations above.
    assert broken <= 70
