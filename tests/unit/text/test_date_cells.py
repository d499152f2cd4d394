"""Dates as databases, spreadsheets and people write them."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace_ai.text.bad_rows import BadRows
from marketplace_ai.text.csv_files import Row
from marketplace_ai.text.date_cells import date_cells
from marketplace_ai.text.date_forms import parse_date
from marketplace_ai.text.reading_notes import told_to
from marketplace_ai.text.table_error import TableError

MOMENTS = st.datetimes(datetime(1960, 1, 1), datetime(2100, 1, 1)).map(
    lambda moment: moment.replace(microsecond=0)
)
ZONES = st.integers(-12 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


def read(*cells: str) -> tuple[list[datetime | None], BadRows]:
    bad = BadRows("a.csv")
    rows = [Row(line, {"posted": cell}) for line, cell in enumerate(cells, start=2)]
    found = date_cells(bad, rows, "posted")
    return [found[row.line] for row in rows], bad


def excel_days(moment: datetime) -> str:
    return repr((moment - datetime(1899, 12, 30)) / timedelta(days=1))


@given(moment=MOMENTS)
def test_one_moment_in_many_forms(moment: datetime) -> None:
    day, half = moment.day, "AM" if moment.hour < 12 else "PM"
    time = f"{moment.minute:02}:{moment.second:02}"
    for cell in (
        moment.isoformat(),
        moment.isoformat(" "),
        f"{moment:%Y%m%dT%H%M%S}",
        f"{moment:%Y/%m/%d %H:%M:%S}",
        f"{day}.{moment.month}.{moment:%Y %H:%M:%S}",
        f"{day}. {moment.month}. {moment:%Y}, kl. {moment:%H.%M.%S}",
        f"{moment:%Y-%m-%d} {moment.hour % 12 or 12}:{time} {half}",
        f"{moment:%Y-%m-%d %H:%M:%S} UTC",
        excel_days(moment),
        excel_days(moment).replace(".", ","),
    ):
        assert parse_date(cell) == moment, cell
    assert parse_date(f"{moment:%d/%m/%Y %H:%M:%S}", "day first") == moment
    assert parse_date(f"{moment:%m-%d-%Y %H:%M:%S}", "month first") == moment
    assert parse_date(f"{moment:%Y-%m}") == datetime(moment.year, moment.month, 1)


@given(moment=MOMENTS, zone=ZONES)
def test_a_zone_makes_no_other_moment(moment: datetime, zone: timezone) -> None:
    local = moment.replace(tzinfo=UTC).astimezone(zone)
    for cell in (
        local.isoformat(),
        f"{local:%Y-%m-%d %H:%M:%S %z}",
        f"{local:%d.%m.%Y %H:%M:%S} {local:%z}",
    ):
        assert parse_date(cell) == moment, cell


@pytest.mark.parametrize(
    "cell",
    [
        "29. november 2026", "29. nov. 2026", "29-Nov-26", "29.nov.26", "Nov 29, 2026",
        "November 29, 2026", "Sun, 29 Nov 2026 00:00:00 +0000", "søn. 29 NOV 2026", "29 nov 2026",
    ],
)  # fmt: skip
def test_the_name_of_a_month(cell: str) -> None:
    assert parse_date(cell) == datetime(2026, 11, 29)


@pytest.mark.parametrize(
    ("name", "month"),
    [
        ("Mai", 5), ("maj", 5), ("May", 5), ("märz", 3), ("mars", 3), ("Oct", 10), ("okt", 10),
        ("des", 12), ("Dec", 12), ("sept", 9), ("juni", 6), ("juli", 7),
    ],
)  # fmt: skip
def test_months_of_several_languages(name: str, month: int) -> None:
    assert parse_date(f"5. {name} 2026") == datetime(2026, month, 5)


def test_seconds_of_unix() -> None:
    assert parse_date("1764425100") == datetime(2025, 11, 29, 14, 5)
    assert parse_date("1764425100000") == datetime(2025, 11, 29, 14, 5)


@pytest.mark.parametrize(
    "cell",
    [
        "i går", "29. ni 2026", "29. novelle 2026", "31.02.2026", "2026-13-01", "2026-02-30",
        "32/01/2026", "13/13/2026", "12345", "2026", "29.11.2026 25:00", "29.11.2026 kveld",
        "11/29/2026 13:00 PM",
        "0001-01-01T00:00+01:00", "9999-12-31 23:59 -0100", "01.01.0001 00:00 +0100", "0000-00-00",
        "29.11.2026 12:00 +9900",
    ],
)  # fmt: skip
def test_what_is_no_date_is_one_bad_row_with_its_cure(cell: str) -> None:
    found, bad = read("2026-11-29", cell, "2026-11-30")
    assert list(bad.reasons) == [3]
    assert f"the posted {cell!r} is no date. Write it as 2026-11-29" in bad.reasons[3]
    assert found == [datetime(2026, 11, 29), None, datetime(2026, 11, 30)]


@given(st.text(max_size=30))
def test_no_cell_breaks_the_reading(cell: str) -> None:
    with suppress(ValueError):
        assert parse_date(cell).tzinfo is None


def test_a_cell_that_says_nothing_is_an_unknown_date() -> None:
    found, bad = read("", "n/a", "-", "null", "2026-11-29")
    assert found == [None, None, None, None, datetime(2026, 11, 29)]
    assert not bad.reasons


@pytest.mark.parametrize(
    ("telling", "order", "day"),
    [
        ("25/12/2026", "day first", datetime(2026, 4, 3)),
        ("12/25/2026 2:05 PM", "month first", datetime(2026, 3, 4)),
        ("25-12-26", "day first", datetime(2026, 4, 3)),
    ],
)
def test_other_cells_tell_the_day_from_the_month(telling: str, order: str, day: datetime) -> None:
    said: list[str] = []
    with told_to(said.append):
        found, bad = read("3/4/2026", telling)
    assert found[0] == day
    assert not bad.reasons
    assert said == [f"a.csv: the column posted is read with the {order}, as {telling!r} tells."]


def test_where_no_cell_tells_or_both_do_it_is_a_bad_row() -> None:
    for cells in (["3/4/2026", "2026-01-01"], ["3/4/2026", "25/12/2026", "12/25/2026"]):
        _, bad = read(*cells)
        assert list(bad.reasons) == [2]
        assert "the posted '3/4/2026' may have the day or the month first" in bad.reasons[2]
    assert not read("3/3/2026")[1].reasons


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["uke 48", "uke 49", ""], "the posted 'uke 48' is no date, and so no cell of the column"),
        (["3/4/2026", "5/6/2026"], "may have the day or the month first, and so no cell"),
    ],
)
def test_a_column_without_a_single_date_is_one_sentence(cells: list[str], said: str) -> None:
    with pytest.raises(TableError) as caught:
        read(*cells)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
