"""National identity numbers: Norwegian, Swedish, Danish, Icelandic, Finnish, British, American.

What starts with a date of birth counts, whatever its control digits say: a number that was
mistyped, or made up so as to be nobody's, is removed like any other, and Norway gives numbers
out from 2032 on whose first control digit no longer follows the old rule. The control digits
decide only where the digits stand apart in a way that something else may be written.
"""

from __future__ import annotations

import re

from .languages import WORDS, any_of
from .rule import BLANK, before, digits, has_unit, is_catalogued, replaced

_NORWEGIAN = re.compile(
    rf"(?<![\d+])(?<!\d[.,])\d{{6}}(?:{BLANK}|[.\-–])?\d{{3}}{BLANK}?\d{{2}}(?![\d]|[.,]\d)"
)
_SPACED = re.compile(
    rf"(?<![\d+])(?<!\d[.,])\d\d[ .\-/]?\d\d[ .\-/]?\d\d[ \-]{{0,2}}\d{{3}}"
    rf"{BLANK}?\d\d(?!\d|[.,]\d)"
)
#: A whole date of birth and the five digits behind it.
_DATED = re.compile(
    rf"(?<![\w.])[0-3]?\d[./][01]?\d[./](?:19\d\d|200\d|201\d)(?:{BLANK}|-)\d{{5}}(?!\w|[.,]\d)"
)
_TEN = re.compile(rf"(?<![\d+])(?<!\d[.,])(?:19|20)?\d{{6}}(?:[-–+]|{BLANK})?\d{{4}}(?!\d|[.,]\d)")
_OTHERS = re.compile(
    r"(?<!\w)(?:\d{6}[-+A-FU-Y]\d{3}[0-9A-FHJ-NPR-Y]"  # Finland
    r"|(?:QQ|[A-CEGHJ-PR-TW-Z]{2}) ?\d\d ?\d\d ?\d\d ?[A-D]"  # United Kingdom
    r"|(?!000)[0-8]\d\d-\d\d-\d{4})(?!\w)"  # United States
)
_ANNOUNCEMENT = re.compile(
    rf"(?:{any_of(WORDS.identity_words)})\.?\W{{0,3}}(?:{any_of(WORDS.is_words)})?\W{{0,2}}$",
    re.IGNORECASE,
)
_WEIGHTS = ((3, 7, 6, 1, 8, 9, 4, 5, 2, 1), (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1))


def scrub(text: str) -> str:
    text = replaced(text, _NORWEGIAN, _is_norwegian)
    text = replaced(text, _SPACED, _is_checked)
    text = replaced(text, _DATED, lambda match: not has_unit(match))
    text = replaced(text, _TEN, _is_nordic)
    return replaced(text, _OTHERS, lambda match: True)


def _is_norwegian(match: re.Match[str]) -> bool:
    number = digits(match[0])
    if _ANNOUNCEMENT.search(before(match)):
        return True
    return _day(number[:2], (0, 40)) and _month(number[2:4]) and not is_catalogued(match)


def _is_checked(match: re.Match[str]) -> bool:
    number = digits(match[0])
    dated = _day(number[:2], (0, 40)) and _month(number[2:4])
    sums = [sum(int(d) * w for d, w in zip(number, row, strict=False)) % 11 for row in _WEIGHTS]
    return bool(_ANNOUNCEMENT.search(before(match))) or (dated and not any(sums))


def _is_nordic(match: re.Match[str]) -> bool:
    """Six digits of a date, the year first or last, and four: Sweden, Denmark, Iceland."""
    if _ANNOUNCEMENT.search(before(match)):
        return True
    if is_catalogued(match) or has_unit(match):
        return False
    number = digits(match[0])
    year_first = number[-10:-4]
    if len(number) == 10 and _day(number[:2], (0, 40, 60)) and _month(number[2:4], (0,)):
        return True
    return _month(year_first[2:4], (0,)) and _day(year_first[4:], (0, 60))


def _day(two: str, shifts: tuple[int, ...]) -> bool:
    """Whether a day of the month, shifted where the number is a provisional one."""
    return any(1 <= int(two) - shift <= 31 for shift in shifts)


def _month(two: str, shifts: tuple[int, ...] = (0, 40, 65, 80)) -> bool:
    """Whether a month, shifted in numbers for tests and help numbers."""
    return any(1 <= int(two) - shift <= 12 for shift in shifts)
