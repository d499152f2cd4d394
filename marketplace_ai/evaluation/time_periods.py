"""Calendar months after a fit, and the moments at which fits of the past are made again."""

from __future__ import annotations

import calendar
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import MAXYEAR, datetime, timedelta

import numpy as np

#: A fit on fewer of the rows than this says little about one on all of them.
SMALLEST_SHARE = 1 / 3
#: What follows a moment, so that a row of that very moment is before the cut.
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Period:
    """From ``first`` months after a fit until before ``last`` (None: without an end)."""

    first: int
    last: int | None

    def __str__(self) -> str:
        return f">{self.first}" if self.last is None else f"{self.first}-{self.last}"


PERIODS = (Period(0, 1), Period(1, 3), Period(3, 6), Period(6, None))


class NoCutError(ValueError):
    """No row is later than what a fit could be made of; the message says why, with the cure."""


def add_months(moment: datetime, months: int) -> datetime:
    """The same day and time ``months`` later, or the last day of a shorter month.

    >>> add_months(datetime(2026, 1, 31, 8), 1), add_months(datetime(2023, 11, 30), 3).day
    (datetime.datetime(2026, 2, 28, 8, 0), 29)
    """
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    if year > MAXYEAR:
        return datetime.max
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    return moment.replace(year=year, month=month + 1, day=day)


def periods_of(moments: Sequence[datetime], cut: datetime) -> list[int | None]:
    """The number of the period in which each moment lies; None before the ``cut``.

    A period has its first moment and not its last, so that each row is in one.
    """
    ends = [add_months(cut, each.last) for each in PERIODS if each.last is not None]
    return [None if moment < cut else bisect_right(ends, moment) for moment in moments]


def choose_cuts(
    taught: Sequence[datetime | None], asked: Sequence[datetime | None], limit: int
) -> list[datetime]:
    """At most ``limit`` moments, in order, at which a fit is made of the rows ``taught`` before it
    and decides those ``asked`` that come later.

    Starts of months, evenly spread over those with a third of the rows ``taught`` before them; and
    right after the newest of these, if rows ``asked`` are later. A row without a date (None) is
    before them all. Raises NoCutError where there is no such moment.
    """
    earlier = sorted(moment for moment in taught if moment is not None)
    later = [moment for moment in asked if moment is not None]
    if not earlier or not later:
        raise NoCutError("No row has a date, so none is later than a fit: fill in the dates.")
    newest, last = earlier[-1], max(later)
    # The start of the month after each that taught anything: other months teach nothing new.
    starts = {add_months(datetime(each.year, each.month, 1), 1) for each in earlier}
    possible = [moment for moment in sorted(starts) if moment <= min(newest, last)]
    if newest < last:
        possible.append(newest + _TICK)
    if not possible:
        raise NoCutError(_nothing_later(earlier, last))
    few, unknown = SMALLEST_SHARE * len(taught), len(taught) - len(earlier)
    enough = [moment for moment in possible if unknown + bisect_left(earlier, moment) >= few]
    enough = enough or possible[-1:]
    places = np.linspace(0, len(enough) - 1, min(limit, len(enough))).round().astype(int)
    return [enough[place] for place in places]


def _nothing_later(earlier: Sequence[datetime], last: datetime) -> str:
    months = {f"{moment:%Y-%m}" for moment in (earlier[0], earlier[-1], last)}
    if len(months) == 1:
        return (
            f"All rows are of one month ({months.pop()}), so none is later than a fit: add rows of "
            "another month."
        )
    return (
        f"No row to decide is later than the first month that teaches ({earlier[0]:%Y-%m}): take "
        "older rows to learn from, or newer ones to decide."
    )
