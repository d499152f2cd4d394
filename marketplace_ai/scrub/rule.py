"""Replacement of matches, and the tests of the text around a match that several rules share."""

from __future__ import annotations

import re
from collections.abc import Callable

from .languages import WORDS, any_of

#: Stands where personal data was. It is neither letter, digit nor blank, so that the text on its
#: two sides never joins to a new word or number, and no word is added.
MARK = "…"

#: A blank within a line.
BLANK = r"[^\S\n]"
#: Between the groups of one number: a blank, or a dot or dash with or without one.
JOINT = rf"(?:{BLANK}?[.\-‐-―·]{BLANK}?|{BLANK})"

#: Units and currencies that are written alike in all languages.
_SYMBOLS = "km|m[²³23]|[mcd]m[²³23]?|kg|dl|kwh?|kwp|mwh|kv|btu|bq|mbit|mb|gb|tb|hz|rpm|usd|gbp"
_CURRENCY_CODES = "nok|sek|dkk|eur"
_UNIT = re.compile(
    rf"{BLANK}?(?:[°%\"”″²³]|,-|:-"
    rf"|(?:{_SYMBOLS}|{_CURRENCY_CODES}|{any_of(WORDS.units, WORDS.currencies)})(?!\w))",
    re.IGNORECASE,
)
_LETTER_UNIT = re.compile(rf"{BLANK}?[malgvwtx×*](?![\w/])", re.IGNORECASE)
_CURRENCY = re.compile(
    rf"(?:\b(?:{any_of(WORDS.currencies)}|{_CURRENCY_CODES})|[€$£]){BLANK}?$", re.IGNORECASE
)
_CATALOGUE = re.compile(
    rf"\b(?:{any_of(WORDS.catalogue_words)}){BLANK}{{0,2}}[.:#=]?{BLANK}{{0,2}}"
    rf"(?:{any_of(WORDS.is_words)})?{BLANK}?$",
    re.IGNORECASE,
)


def replace_matches(
    text: str, pattern: re.Pattern[str], is_personal: Callable[[re.Match[str]], bool]
) -> str:
    """Put ``MARK`` in the place of each match that is personal data.

    Behind the first number of a match that is not, the search goes on: "1998 900 00 014".
    A group named ``keep`` at the beginning of a match stays.
    """
    parts: list[str] = []
    kept = place = 0
    while (match := pattern.search(text, place)) is not None:
        if is_personal(match):
            start = match.end("keep") if "keep" in pattern.groupindex else -1
            parts += [text[kept : start if start >= 0 else match.start()], MARK]
            kept = place = match.end()
        else:
            place = match.start()
            while place < match.end() and not text[place].isdecimal():
                place += 1
            while place < match.end() and text[place].isdecimal():
                place += 1
            place = max(place, match.start() + 1)
    return "".join([*parts, text[kept:]]) if parts else text


def text_before(match: re.Match[str], characters: int = 40) -> str:
    """The characters right before a match."""
    return match.string[max(0, match.start() - characters) : match.start()]


def has_unit(match: re.Match[str], *, letters: bool = False) -> bool:
    """Whether a unit follows the number, or a currency precedes it.

    ``letters``: a single letter counts as a unit (12 m, 16 A). Numbers of eight digits have
    none, so rules for such numbers leave it off.
    """
    text, end = match.string, match.end()
    return bool(
        _UNIT.match(text, end)
        or _CURRENCY.search(text_before(match, 6))
        or (letters and _LETTER_UNIT.match(text, end))
    )


def is_catalogue_number(match: re.Match[str]) -> bool:
    """Whether a word in front says that the number is of an article, an order or an account."""
    return bool(_CATALOGUE.search(text_before(match)))


def digits(text: str) -> str:
    """The decimal digits of a text, those of other scripts as ASCII."""
    return "".join(str(int(c)) for c in text if c.isdecimal())


def starts_sentence(text: str, place: int) -> bool:
    """Whether any word at ``place`` would have a capital letter, name or not."""
    front = text[max(0, place - 4) : place].rstrip(" \t\"'«»(")
    return not front or front[-1] in ".!?:\n…" or "\n" in text[max(0, place - 1) : place]
