"""Calendar months after a fit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace_ai.evaluation.time_periods import (
    PERIODS,
    NoCutError,
    add_months,
    choose_cuts,
    periods_of,
)
from marketplace_ai.text.date_forms import parse_date

MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1))
DATES = st.lists(st.none() | MOMENTS, max_size=40)


@given(moment=MOMENTS, months=st.integers(0, 40))
def test_months_later_is_the_same_day_or_the_last_of_a_shorter_month(
    moment: datetime, months: int
) -> None:
    later = add_months(moment, months)
    assert (later.year - moment.year) * 12 + later.month - moment.month == months
    assert later.time() == moment.time()
    assert later.day == moment.day or (
        later.day < moment.day and (later + timedelta(days=1)).month != later.month
    )


def test_the_end_of_a_month() -> None:
    assert add_months(datetime(2026, 1, 31), 1) == datetime(2026, 2, 28)
    assert add_months(datetime(2028, 1, 31), 1) == datetime(2028, 2, 29)
    assert add_months(datetime(2026, 12, 31), 2) == datetime(2027, 2, 28)
    assert add_months(datetime(9999, 12, 1), 1) == datetime.max


@given(cut=MOMENTS, moment=MOMENTS)
def test_a_later_row_is_in_exactly_one_period(cut: datetime, moment: datetime) -> None:
    [period] = periods_of([moment], cut)
    containing = [
        number
        for number, each in enumerate(PERIODS)
        if add_months(cut, each.first) <= moment
        and (each.last is None or moment < add_months(cut, each.last))
    ]
    assert containing == ([] if period is None else [period])
    assert (period is None) == (moment < cut)


@given(cut=MOMENTS, months=st.sampled_from([0, 1, 3, 6]))
def test_a_row_on_the_border_belongs_to_the_later_period(cut: datetime, months: int) -> None:
    border = add_months(cut, months)
    before, on = periods_of([border - timedelta(microseconds=1), border], cut)
    assert on == [0, 1, 3, 6].index(months)
    assert before == (on - 1 if on else None)


@given(moment=MOMENTS, minutes=st.integers(-12 * 60, 14 * 60))
def test_a_zone_puts_a_row_into_no_other_period(moment: datetime, minutes: int) -> None:
    zone = timezone(timedelta(minutes=minutes))
    written = moment.replace(tzinfo=UTC).astimezone(zone).isoformat()
    cut = datetime(2026, 3, 1)
    assert periods_of([parse_date(written)], cut) == periods_of([moment], cut)


@given(taught=DATES, asked=DATES, limit=st.integers(1, 8))
def test_each_cut_has_rows_on_both_sides(
    taught: list[datetime | None], asked: list[datetime | None], limit: int
) -> None:
    try:
        cuts = choose_cuts(taught, asked, limit)
    except NoCutError:
        return
    assert 1 <= len(cuts) <= limit
    assert cuts == sorted(set(cuts))
    known = [moment for moment in taught if moment is not None]
    for cut in cuts:
        assert any(moment < cut for moment in known)
        assert any(moment is not None and moment >= cut for moment in asked)
        assert cut <= max(known) + timedelta(microseconds=1)
    # Two cuts with the same rows before them would be one fit twice.
    assert len({sum(moment < cut for moment in known) for cut in cuts}) == len(cuts)


def monthly(*months: int, day: int = 15) -> list[datetime | None]:
    return [add_months(datetime(2025, 1, day), month) for month in months]


def test_cuts_are_starts_of_months_with_a_third_of_the_rows_before_them() -> None:
    rows = monthly(*range(12))
    cuts = choose_cuts(rows, rows, 20)
    assert cuts == monthly(*range(4, 12), day=1)
    assert choose_cuts(rows, rows, 3) == [cuts[0], cuts[4], cuts[-1]]


def test_a_fit_on_all_rows_is_as_old_as_its_newest_row() -> None:
    cuts = choose_cuts(monthly(0, 1), monthly(2, 3), 5)
    assert cuts[-1] == datetime(2025, 2, 15, microsecond=1)


def test_rows_without_a_date_are_the_oldest() -> None:
    assert choose_cuts([None] * 9 + monthly(0, 1), monthly(1), 5) == [datetime(2025, 2, 1)]


@pytest.mark.parametrize(
    ("taught", "asked", "said"),
    [
        ([None], [None], "No row has a date"),
        ([], monthly(1), "No row has a date"),
        (monthly(0, 0), monthly(0), "All rows are of one month (2025-01)"),
        (monthly(3, 4), monthly(0), "No row to decide is later than the first month that teaches"),
    ],
)
def test_what_is_missing_is_said(
    taught: list[datetime | None], asked: list[datetime | None], said: str
) -> None:
    with pytest.raises(NoCutError) as caught:
        choose_cuts(taught, asked, 3)
    assert said in str(caught.value)
