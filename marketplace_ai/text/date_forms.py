"""The forms in which databases, spreadsheets and people write a date, each read into a moment."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Literal

#: What the two numbers in front of a year mean where slashes or hyphens part them.
Order = Literal["day first", "month first"]

#: The end of a date: nothing, or what parts it from a time.
_END = r"(?=$|[ T,])[ T,]*"
_YEAR = r"(?P<year>\d{4}|\d{2})"
_YEAR_FIRST = re.compile(rf"(?P<year>\d{{4}})([-/.])(?P<month>\d{{1,2}})\2(?P<day>\d{{1,2}}){_END}")
_ONLY_MONTH = re.compile(r"(?P<year>\d{4})-(?P<month>\d{2})$")
#: A day as Norwegians, Germans and many others write it.
_FULL_STOPS = re.compile(rf"(?P<day>\d{{1,2}})\. ?(?P<month>\d{{1,2}})\. ?{_YEAR}{_END}")
_NAME = r"(?P<name>[^\W\d_]{3,})\.?"
_WITH_NAME = (
    re.compile(rf"(?:[^\W\d_]+\.?,? )?(?P<day>\d{{1,2}})\.?[ -]?{_NAME},?[ -]?{_YEAR}{_END}"),
    re.compile(rf"(?:[^\W\d_]+\.?, )?{_NAME} (?P<day>\d{{1,2}}),? {_YEAR}{_END}"),
)
#: Names of each month in English, the Nordic languages and German; a beginning of one will do.
_MONTHS = (
    ("january", "januar", "januari"), ("february", "februar", "februari"),
    ("march", "mars", "marts", "märz"), ("april",), ("may", "mai", "maj"), ("june", "juni"),
    ("july", "juli"), ("august", "augusti"), ("september",), ("october", "oktober"), ("november",),
    ("december", "desember", "dezember"),
)  # fmt: skip
_TWO_NUMBERS = re.compile(rf"(?P<one>\d{{1,2}})([/-])(?P<two>\d{{1,2}})\2{_YEAR}{_END}")
_TIME = re.compile(
    r"(?:kl\.? ?)?(?P<hour>\d{1,2})[:.](?P<minute>\d{2})(?:[:.](?P<second>\d{2})(?:[.,]\d+)?)?"
    r"(?: ?(?P<half>[AaPp])\.?[Mm]\.?)?"
    r"(?: ?(?:(?P<utc>Z|UTC|GMT)|(?P<sign>[+-])(?P<off_hour>\d{2}):?(?P<off_minute>\d{2})?))?$"
)
#: Days since the start of Excel's calendar (1954 to 2119), and seconds or milliseconds of Unix.
_EXCEL_DAYS = re.compile(r"[2-7]\d{4}(?:[.,]\d+)?")
_EXCEL_START = datetime(1899, 12, 30)
_UNIX = {re.compile(r"\d{10}"): 1, re.compile(r"\d{13}"): 1000}


class AmbiguousDateError(ValueError):
    """Either number in front of the year may be the month."""


def parse_date(cell: str, order: Order | None = None) -> datetime:
    """The moment that a cell names, in UTC where it has a zone.

    ISO 8601; the year first, also with slashes or full stops; the day first with full stops; the
    month's name with day and year; with slashes or hyphens in the ``order`` given (None: where the
    numbers tell); a year and a month (its start); Excel's number of days; Unix seconds and
    milliseconds. Raises ValueError for anything else, and AmbiguousDateError where only the order
    is missing.

    >>> parse_date("2026-11-29 14:05+01:00"), parse_date("29.11.2026").day
    (datetime.datetime(2026, 11, 29, 13, 5), 29)
    >>> parse_date("46355.5"), parse_date("11/29/2026 2:05 PM").hour
    (datetime.datetime(2026, 11, 29, 12, 0), 14)
    """
    text = cell.strip()
    if (numeric := _number(text)) is not None:
        return numeric
    try:
        return without_zone(datetime.fromisoformat(text))
    except OverflowError:
        raise ValueError(f"{cell!r} is outside of the calendar") from None
    except ValueError:
        return _written(text, order)


def numbers_in_front(cell: str) -> tuple[int, int] | None:
    """The two numbers in front of a year that slashes or hyphens part; None for another form.

    >>> numbers_in_front("3/4/2026"), numbers_in_front("2026-04-03")
    ((3, 4), None)
    """
    match = _TWO_NUMBERS.match(cell.strip())
    return (int(match["one"]), int(match["two"])) if match else None


def without_zone(moment: date) -> datetime:
    """The moment in UTC, without its time zone; as it is where it has none. A day is its start."""
    if not isinstance(moment, datetime):
        return datetime.combine(moment, time())
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def _number(text: str) -> datetime | None:
    if _EXCEL_DAYS.fullmatch(text):
        seconds = round(float(text.replace(",", ".")) * 86400)  # a day's part is never exact
        return _EXCEL_START + timedelta(seconds=seconds)
    for pattern, unit in _UNIX.items():
        if pattern.fullmatch(text):
            return datetime(1970, 1, 1) + timedelta(seconds=int(text) / unit)
    return None


def _written(text: str, order: Order | None) -> datetime:
    """A form that people write; ValueError for a day or time that does not exist."""
    for pattern in (_ONLY_MONTH, _YEAR_FIRST, _FULL_STOPS):
        if match := pattern.match(text):
            parts = match.groupdict()
            day = date(_full_year(parts["year"]), int(parts["month"]), int(parts.get("day", "1")))
            return _at(day, text[match.end() :])
    for pattern in _WITH_NAME:
        if match := pattern.match(text):
            day = date(_full_year(match["year"]), _month(match["name"]), int(match["day"]))
            return _at(day, text[match.end() :])
    if match := _TWO_NUMBERS.match(text):
        one, two = int(match["one"]), int(match["two"])
        if order is None:
            order = _told_order(one, two)
        day_number, month = (one, two) if order == "day first" else (two, one)
        return _at(date(_full_year(match["year"]), month, day_number), text[match.end() :])
    raise ValueError(f"{text!r} is no date")


def _month(name: str) -> int:
    for number, names in enumerate(_MONTHS, start=1):
        if any(each.startswith(name.casefold()) for each in names):
            return number
    raise ValueError(f"{name!r} is no month")


def _told_order(one: int, two: int) -> Order:
    """The order that two numbers tell by themselves: no month is above 12."""
    if one == two or one > 12:
        return "day first"
    if two > 12:
        return "month first"
    raise AmbiguousDateError(f"{one} or {two} may be the month")


def _full_year(year: str) -> int:
    return int(year) if len(year) == 4 else 2000 + int(year)


def _at(day: date, text: str) -> datetime:
    """The day at the time that stands behind it, if any."""
    if not text:
        return datetime.combine(day, time())
    match = _TIME.match(text)
    if match is None:
        raise ValueError(f"{text!r} is no time")
    hour = int(match["hour"])
    if match["half"]:
        if not 1 <= hour <= 12:
            raise ValueError(f"{hour} is no hour of half a day")
        hour = hour % 12 + (12 if match["half"] in "Pp" else 0)
    moment = datetime.combine(day, time(hour, int(match["minute"]), int(match["second"] or 0)))
    if match["sign"]:
        away = timedelta(hours=int(match["off_hour"]), minutes=int(match["off_minute"] or 0))
        zone = timezone(away if match["sign"] == "+" else -away)
        try:
            return without_zone(moment.replace(tzinfo=zone))
        except OverflowError:
            raise ValueError("outside of the calendar") from None
    return moment
