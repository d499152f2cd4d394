"""Phone numbers: Norwegian and Danish ones of eight digits, those with 0, and those with +47.

The library phonenumbers finds only what a numbering plan allows, so a number with a mistyped
digit would stay; docs/privacy.md compares it with these rules.
"""

from __future__ import annotations

import re

from .languages import WORDS, any_of
from .rule import BLANK, JOINT, has_unit, is_catalogue_number, replace_matches, text_before

#: Not behind a letter or digit, except in "tlf90000014". Each ending has a lookbehind of its own,
#: since a lookbehind in Python has one length.
_FREE = (
    rf"(?:(?<!\w)|{'|'.join(f'(?<={ending})' for ending in WORDS.phone_endings)})"
    r"(?<!\d[.,:/x×*\-])"
)
#: The bracket of an area or country code; other brackets around a number stay in the text.
_OPEN = r"(?:\((?=\+?[\d ]{1,6}\)))?"
_END = r"(?!\d|[.,]\d{1,2}(?!\d))"
_ABROAD = re.compile(
    rf"(?<![\w+])(?<!\d )(?:{_OPEN}(?:\+{BLANK}?|00{BLANK}?)(?:4[57]\)?(?:{JOINT}?\d){{8}}"
    rf"|358\)?(?:{JOINT}?\d){{6,10}})"
    rf"|{_OPEN}(?:\+|00)[1-9]\d{{0,2}}\)?(?:[ .()/\-–]{{0,3}}\d){{6,13}})(?!\d)"
)
_EIGHT = re.compile(
    rf"{_FREE}(?:{_OPEN}4[57]\)?{BLANK}?(?=[2-9](?:{JOINT}?\d){{7}}(?!\d)))?"
    rf"(?P<number>{_OPEN}(?![01])\d(?:\)?{JOINT}?\d){{7}}){_END}",
    re.IGNORECASE,
)
_LEADING_ZERO = re.compile(
    rf"{_FREE}(?<!\d[ .\-]){_OPEN}0[1-9](?:(?:\)?{JOINT}?|/)\(?\d){{6,9}}{_END}", re.IGNORECASE
)
_AMERICAN = re.compile(
    r"(?<![\w.,-])(?:1[-. ])?\(?[2-9]\d\d(?:\) ?|[-.])[2-9]?\d\d[-. ]\d{4}(?!\w)"
)
_ANNOUNCED = re.compile(
    rf"(?P<keep>(?<!\w)(?:{any_of(WORDS.phone_words, WORDS.direct_phone_words)})\.?{BLANK}?"
    rf"(?:{any_of(WORDS.number_words, WORDS.phone_number_words)})?\.?{BLANK}?[:=]?{BLANK}?"
    rf"(?:(?:{any_of(WORDS.is_words, WORDS.phone_prepositions)}){BLANK})?)"
    rf"{_OPEN}\d(?:[ .()/\-–]{{0,2}}\d){{5,12}}{_END}",
    re.IGNORECASE,
)
#: How people group eight digits.
_GROUPS = {
    (8,), (3, 2, 3), (2, 2, 2, 2), (2, 3, 3), (3, 3, 2), (4, 4), (3, 5), (5, 3), (4, 2, 2),
    (2, 2, 4), (2, 6), (2, 4, 2), (1,) * 8,
}  # fmt: skip
_DATE = re.compile(
    r"(?:[0-3]?\d[ ./\-–](?:0?\d|1[0-2])[ ./\-–](?:19|20)\d\d"
    r"|(?:19|20)\d\d[ ./\-–]?(?:0\d|1[0-2])[ ./\-–]?[0-3]\d|[0-3]\d(?:0\d|1[0-2])(?:19|20)\d\d)"
)
_CLOCK_RANGE = re.compile(r"[0-2]?\d[.:][0-5]\d ?[-–] ?[0-2]?\d[.:][0-5]\d")
_YEAR_RANGE = re.compile(r"(?:19|20)\d\d.{1,3}(?:19|20)\d\d")
#: A word that announces a phone number, with up to three words behind it.
_ANNOUNCEMENT = re.compile(
    rf"(?:{any_of(WORDS.phone_words, WORDS.distant_phone_words)})\W{{0,3}}"
    r"(?:\w{1,12}\W{1,2}){0,3}$",
    re.IGNORECASE,
)
_CLOCK_WORD = re.compile(rf"(?<!\w)(?:{any_of(WORDS.clock_words)})\.? ?$", re.IGNORECASE)


def scrub(text: str) -> str:
    text = replace_matches(text, _ABROAD, lambda match: not has_unit(match))
    text = replace_matches(text, _LEADING_ZERO, _is_leading_zero)
    text = replace_matches(text, _EIGHT, _is_eight)
    text = replace_matches(text, _AMERICAN, lambda match: not has_unit(match))
    return replace_matches(text, _ANNOUNCED, _is_announced)


def _is_eight(match: re.Match[str]) -> bool:
    number = match["number"]
    groups = re.findall(r"\d+", number)
    shape = tuple(map(len, groups))
    if shape not in _GROUPS or _is_other_number(match, number):
        return False
    called = bool(_ANNOUNCEMENT.search(text_before(match)))
    if shape == (4, 4) and not called:
        # A range, or two measures: "3000-4000", "2400 1200".
        return not re.search(r"[-‐-―.]", number) and not all(g.endswith("00") for g in groups)
    if shape in ((2, 3, 3), (3, 3, 2)) and not called:
        # An amount: "25 000 000", "250 000 12".
        if shape == (3, 3, 2):  # or an article's number: "403.456.78"
            return number[0] in "49" and "." not in number
        return bool(groups[-1] != "000")
    return True


def _is_leading_zero(match: re.Match[str]) -> bool:
    """Whether a number is Swedish, Finnish, British or German: 070-123 45 67, 020 7946 0958."""
    groups = re.findall(r"\d+", match[0])
    if _is_other_number(match, match[0]):
        return False
    total = sum(map(len, groups))
    if len(groups) == 1:
        return total >= 9
    marked = match[0][len(groups[0])] in "-–/)" or match[0].startswith("(")
    return (
        marked
        or bool(_ANNOUNCEMENT.search(text_before(match)))
        or (total >= 9 and len(groups[0]) > 2)
    )


def _is_announced(match: re.Match[str]) -> bool:
    """Whether what follows a phone word is neither a measure nor a date nor a time."""
    number = match[0][len(match["keep"]) :]
    return not (
        has_unit(match)
        or _DATE.fullmatch(number)
        or _CLOCK_RANGE.match(number)
        or _YEAR_RANGE.fullmatch(number)
    )


def _is_other_number(match: re.Match[str], number: str) -> bool:
    """Whether the number is a measure, a date, a time, an article number or the like."""
    after = re.compile(r"[^\W\d_]+").match(match.string, match.end())
    return bool(
        has_unit(match)
        or is_catalogue_number(match)
        or _CLOCK_WORD.search(text_before(match))
        or (after and len(after[0]) < 3)
        or (_DATE.fullmatch(number) and not _ANNOUNCEMENT.search(text_before(match)))
        or _CLOCK_RANGE.fullmatch(number)
        or _YEAR_RANGE.fullmatch(number)
    )
