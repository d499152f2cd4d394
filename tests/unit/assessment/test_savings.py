from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from marketplace_ai.assessment.savings import find_workload

START = datetime(2026, 1, 1)


def test_a_stated_rate_goes_before_that_of_the_dates() -> None:
    found = find_workload(300, 30, [START, START + timedelta(days=90)])
    assert found is not None
    assert (found.per_month, found.measured) == (300, False)
    assert found.hours_saved(0.4) == pytest.approx(1.0)


def test_the_rate_of_the_dates() -> None:
    found = find_workload(None, 20, [START + timedelta(days=day) for day in range(61)] + [None])
    assert found is not None
    assert found.measured
    assert found.per_month == pytest.approx(61 / 60 * 30.44)


@pytest.mark.parametrize("days", [[], [0], [0, 20]])
def test_no_rate_follows_from_less_than_a_month(days: list[int]) -> None:
    assert find_workload(None, 20, [START + timedelta(days=day) for day in days]) is None
