"""What a cell with a date says: when a posting came in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time

from marketplace_ai.text.bad_rows import BadRows
from marketplace_ai.text.category_cells import says_nothing
from marketplace_ai.text.csv_files import Row

#: The column's name where nobody names another.
DATE = "date"
#: A day as Norwegians, Germans and many others write it, before the time if there is one.
_DAY_FIRST = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})(?=$|[ T,])[ T,]*")


def date_cells(bad: BadRows, rows: Sequence[Row], column: str) -> dict[int, datetime | None]:
    """The date in ``column`` of each row, by line: without a time zone (in UTC where one is
    written), None where the cell says nothing. What is no date is noted in ``bad``."""
    found: dict[int, datetime | None] = {}
    for row in rows:
        cell = row[column]
        found[row.line] = None
        if not says_nothing(cell):
            try:
                found[row.line] = parse_date(cell)
            except ValueError:
                bad.add(
                    row.line,
                    f"the {column} {cell!r} is no date. Write it as 2026-11-29, with or without a "
                    "time, or leave it empty.",
                )
    return found


def parse_date(cell: str) -> datetime:
    """A date in ISO 8601, or with the day first and full stops; ValueError for anything else.

    >>> parse_date("2026-11-29 14:05+01:00"), parse_date("29.11.2026").day
    (datetime.datetime(2026, 11, 29, 13, 5), 29)
    """
    text = cell.strip()
    if match := _DAY_FIRST.match(text):
        day, month, year = match.groups()
        text = f"{year}-{int(month):02}-{int(day):02} {text[match.end() :]}".strip()
    return without_zone(datetime.fromisoformat(text))


def without_zone(moment: date) -> datetime:
    """The moment in UTC, without its time zone; as it is where it has none. A day is its start."""
    if not isinstance(moment, datetime):
        return datetime.combine(moment, time())
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
