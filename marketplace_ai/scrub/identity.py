"""National identity numbers: Norwegian, Swedish, Danish, Icelandic, Finnish, British, American.

A number that begins with a date of birth goes, whatever its control digits say: a mistyped
number is somebody's too, and from 2032 on Norway gives out numbers whose first control digit
does not follow the old rule. Control digits decide only where the digits are grouped in a way
that other numbers are as well.
"""

from __future__ import annotations

import re

from .languages import WORDS, any_of
from .rule import BLANK, digits, has_unit, is_catalogue_number, replace_matches, text_before

_ELEVEN_DIGITS = re.compile(
    rf"(?<![\d+])(?<!\d[.,])\d{{6}}(?:{BLANK}|[.\-–])?\d{{3}}{BLANK}?\d{{2}}(?![\d]|[.,]\d)"
)
_ELEVEN_SPACED = re.compile(
    rf"(?<![\d+])(?<!\d[.,])\d\d[ .\-/]?\d\d[ .\-/]?\d\d[ \-]{{0,2}}\d{{3}}"
    rf"{BLANK}?\d\d(?!\d|[.,]\d)"
)
#: A date of birth with the full year, and five digits behind it.
_FULL_DATE = re.compile(
    rf"(?<![\w.])[0-3]?\d[./][01]?\d[./](?:19\d\d|200\d|201\d)(?:{BLANK}|-)\d{{5}}(?!\w|[.,]\d)"
)
_TEN_DIGITS = re.compile(
    rf"(?<![\d+])(?<!\d[.,])(?:19|20)?\d{{6}}(?:[-–+]|{BLANK})?\d{{4}}(?!\d|[.,]\d)"
)
_WITH_LETTERS_OR_DASHES = re.compile(
    r"(?<!\w)(?:\d{6}[-+A-FU-Y]\d{3}[0-9A-FHJ-NPR-Y]"  # Finland
    r"|(?:QQ|[A-CEGHJ-PR-TW-Z]{2}) ?\d\d ?\d\d ?\d\d ?[A-D]"  # United Kingdom
    r"|(?!000)[0-8]\d\d-\d\d-\d{4})(?!\w)"  # United States
)
_ANNOUNCEMENT = re.compile(
    rf"(?:{any_of(WORDS.identity_words)})\.?\W{{0,3}}(?:{any_of(WORDS.is_words)})?\W{{0,2}}$",
    re.IGNORECASE,
)
_CONTROL_WEIGHTS = ((3, 7, 6, 1, 8, 9, 4, 5, 2, 1), (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1))


def scrub(text: str) -> str:
    text = replace_matches(text, _ELEVEN_DIGITS, _is_norwegian)
    text = replace_matches(text, _ELEVEN_SPACED, _has_control_digits)
    text = replace_matches(text, _FULL_DATE, lambda match: not has_unit(match))
    text = replace_matches(text, _TEN_DIGITS, _is_ten_digits)
    return replace_matches(text, _WITH_LETTERS_OR_DASHES, lambda match: True)


def _is_norwegian(match: re.Match[str]) -> bool:
    number = digits(match[0])
    if _ANNOUNCEMENT.search(text_before(match)):
        return True
    return _day(number[:2], (0, 40)) and _month(number[2:4]) and not is_catalogue_number(match)


def _has_control_digits(match: re.Match[str]) -> bool:
    number = digits(match[0])
    dated = _day(number[:2], (0, 40)) and _month(number[2:4])
    sums = [
        sum(int(d) * w for d, w in zip(number, row, strict=False)) % 11 for row in _CONTROL_WEIGHTS
    ]
    return bool(_ANNOUNCEMENT.search(text_before(match))) or (dated and not any(sums))


def _is_ten_digits(match: re.Match[str]) -> bool:
    """Whether six of ten digits are a date, year first or last: Sweden, Denmark, Iceland."""
    if _ANNOUNCEMENT.search(text_before(match)):
        return True
    if is_catalogue_number(match) or has_unit(match):
        return False
    number = digits(match[0])
    year_first = number[-10:-4]
    if len(number) == 10 and _day(number[:2], (0, 40, 60)) and _month(number[2:4], (0,)):
        return True
    return _month(year_first[2:4], (0,)) and _day(year_first[4:], (0, 60))


def _day(two: str, shifts: tuple[int, ...]) -> bool:
    """Whether two digits are a day of the month; provisional numbers add a shift to it."""
    return any(1 <= int(two) - shift <= 31 for shift in shifts)


def _month(two: str, shifts: tuple[int, ...] = (0, 40, 65, 80)) -> bool:
    """Whether two digits are a month; numbers for tests and help numbers add a shift to it."""
    return any(1 <= int(two) - shift <= 12 for shift in shifts)
