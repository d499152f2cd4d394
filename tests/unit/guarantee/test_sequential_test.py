"""The test of the promise on audited postings: it may be looked at after every row."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import betaincc, betaln
from scipy.stats import binomtest

from marketplace_ai.guarantee.sequential_test import (
    NO_EVIDENCE,
    EValue,
    anytime_lower_bound,
    largest_e_value,
    log_e,
    log_threshold,
)

ALLOWED = 0.03
CONFIDENCE = 0.95
RUNS, ROWS = 2000, 2000


def by_incomplete_beta(errors: int, rows: int, allowed: float, b: int) -> float:
    """The same mixture by scipy."""
    right = rows - errors
    return float(
        betaln(errors + 1, right + b)
        + np.log(betaincc(errors + 1, right + b, allowed))
        - betaln(1, b)
        - np.log(betaincc(1, b, allowed))
        - errors * np.log(allowed)
        - right * np.log1p(-allowed)
    )


@given(st.integers(0, 60), st.integers(0, 3000), st.sampled_from([0.01, 0.03, 0.05, 0.2]))
def test_it_is_the_mixture_by_an_independent_implementation(
    errors: int, right: int, allowed: float
) -> None:
    b = max(1, round(1 / (3 * allowed)))
    expected = by_incomplete_beta(errors, errors + right, allowed, b)
    if math.isfinite(expected):  # betaincc itself underflows to 0
        assert log_e(errors, errors + right, allowed) == pytest.approx(expected, abs=1e-6, rel=1e-6)


@pytest.mark.parametrize("allowed", [Fraction(1, 10), Fraction(1, 4)])
def test_its_mean_is_one_where_the_promise_just_holds(allowed: Fraction) -> None:
    """What makes it a bet that cannot be won: exactly, over every course of ten rows."""
    rows, rate = 10, float(allowed)
    mean = sum(
        math.comb(rows, errors)
        * float(allowed**errors * (1 - allowed) ** (rows - errors))
        * math.exp(log_e(errors, rows, rate))
        for errors in range(rows + 1)
    )
    assert mean == pytest.approx(1, abs=1e-9)


def runs(rate: float, seed: int) -> list[list[int]]:
    """Places of the wrong rows in each run."""
    wrong = np.random.default_rng(seed).random((RUNS, ROWS)) < rate
    return [(np.flatnonzero(row) + 1).tolist() for row in wrong]


@pytest.mark.slow
def test_looked_at_after_each_of_2000_rows_it_raises_no_more_false_alarms_than_promised() -> None:
    threshold = log_threshold(CONFIDENCE)
    alarms = sum(largest_e_value(wrong, ALLOWED).log_e >= threshold for wrong in runs(ALLOWED, 1))
    assert alarms / RUNS <= 1 - CONFIDENCE
    # It is no test that never speaks.
    assert alarms / RUNS >= 0.005


@pytest.mark.slow
def test_a_binomial_test_repeated_as_often_would_break_that() -> None:
    alarms = 0
    refuted: dict[tuple[int, int], bool] = {}
    for wrong in runs(ALLOWED, 1)[:400]:
        for errors, rows in enumerate(wrong, start=1):
            if (errors, rows) not in refuted:
                found = binomtest(errors, rows, ALLOWED, alternative="greater")
                refuted[errors, rows] = found.pvalue <= 1 - CONFIDENCE
            if refuted[errors, rows]:
                alarms += 1
                break
    assert alarms / 400 > 3 * (1 - CONFIDENCE)


@pytest.mark.parametrize(
    ("rate", "tests", "within"), [(0.15, 1, 70), (0.15, 69, 130), (0.10, 1, 180), (0.06, 1, 750)]
)
@pytest.mark.slow
def test_a_broken_promise_is_found(rate: float, tests: int, within: int) -> None:
    """In nine runs of ten, within the rows that docs/audit.md names."""
    threshold = log_threshold(CONFIDENCE, tests)
    found = [
        largest_e_value([place for place in wrong if place <= within], ALLOWED).log_e >= threshold
        for wrong in runs(rate, 2)
    ]
    assert np.mean(found) >= 0.9


def test_better_than_promised_is_never_refuted_for_being_unsure() -> None:
    assert largest_e_value([], ALLOWED) == NO_EVIDENCE
    assert log_e(0, 5000, ALLOWED) < 0
    assert log_e(150, 5000, ALLOWED) < log_threshold(CONFIDENCE)


@given(st.lists(st.booleans(), min_size=1, max_size=300), st.data())
def test_rows_that_nobody_judged_can_only_weaken_the_case(
    wrong: list[bool], data: st.DataObject
) -> None:
    """Whatever part of the sample people answer first, or only."""
    judged = data.draw(st.lists(st.booleans(), min_size=len(wrong), max_size=len(wrong)))
    everything = [n for n, bad in enumerate(wrong, start=1) if bad]
    part = [n for n in everything if judged[n - 1]]
    assert largest_e_value(part, ALLOWED).log_e <= largest_e_value(everything, ALLOWED).log_e + 1e-9


@pytest.mark.parametrize("rate", [0.03, 0.1])
@pytest.mark.slow
def test_the_bound_on_the_error_rate_holds_at_all_times_together(rate: float) -> None:
    threshold = log_threshold(CONFIDENCE)
    above = sum(
        anytime_lower_bound(largest_e_value(wrong, ALLOWED), ALLOWED, threshold) > rate
        for wrong in runs(rate, 3)
    )
    assert above / RUNS <= 1 - CONFIDENCE


@given(st.integers(1, 40), st.integers(0, 400))
def test_the_bound_passes_the_allowed_rate_just_when_it_is_refuted(errors: int, right: int) -> None:
    threshold = log_threshold(CONFIDENCE)
    found = EValue(errors + right, errors, log_e(errors, errors + right, ALLOWED))
    bound = anytime_lower_bound(found, ALLOWED, threshold)
    assert bound <= errors / (errors + right)
    if abs(found.log_e - threshold) > 1e-6:
        assert (bound > ALLOWED) == (found.log_e >= threshold)


@pytest.mark.parametrize(("errors", "rows", "allowed"), [(2, 1, 0.03), (0, 1, 0.0), (0, 1, 1.0)])
def test_what_makes_no_sense_is_refused(errors: int, rows: int, allowed: float) -> None:
    with pytest.raises(ValueError, match="lie between"):
        log_e(errors, rows, allowed)
