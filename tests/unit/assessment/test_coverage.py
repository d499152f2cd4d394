from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace_ai.assessment.coverage import TargetCoverage
from marketplace_ai.guarantee.target import Target

FOUND = TargetCoverage(
    Target(0.97), 0.9, 1000, 20, 0.029, 0, all_coverage=0.45, older_coverage=0.42,
    held_out_coverage=0.47, held_out_interval=(0.44, 0.5), automatic=470, wrong=9, refuted=False,
)  # fmt: skip


def test_what_is_held_out_says_by_how_much_out_of_fold_is_too_low() -> None:
    assert FOUND.coverage == pytest.approx(0.47 * 0.45 / 0.42)
    assert FOUND.interval == pytest.approx((0.44 * 0.45 / 0.42, 0.5 * 0.45 / 0.42))
    assert FOUND.precision == pytest.approx(461 / 470)


def test_nothing_is_automatic_where_all_postings_prove_nothing() -> None:
    found = replace(FOUND, threshold=None, all_coverage=0.0)
    assert found.coverage == 0
    assert found.interval is None


def test_where_the_older_prove_nothing_the_out_of_fold_share_stands() -> None:
    found = replace(FOUND, older_coverage=0.0, held_out_coverage=0.0, automatic=0, wrong=0)
    assert found.coverage == FOUND.all_coverage
    assert found.interval is None
    assert found.precision is None


@given(*[st.floats(0.01, 1)] * 3)
def test_coverage_is_a_share(all_coverage: float, older: float, held_out: float) -> None:
    found = replace(
        FOUND, all_coverage=all_coverage, older_coverage=older, held_out_coverage=held_out,
        held_out_interval=(held_out / 2, held_out),
    )  # fmt: skip
    assert 0 <= found.coverage <= 1
    assert found.interval is not None
    assert 0 <= found.interval[0] <= found.coverage <= found.interval[1] <= 1
