"""What all rules share: finding, weighing and replacing, and the words around a number."""

from __future__ import annotations

import re
from collections.abc import Callable

from .languages import WORDS, any_of

#: Stands where personal data was. No letter, digit or blank, so that nothing on its two sides
#: ever grows together, and nothing of a text's words is added to or repeated.
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


def replaced(text: str, pattern: re.Pattern[str], meant: Callable[[re.Match[str]], bool]) -> str:
    """The text with ``MARK`` for each match that is meant.

    One that is not gives way to what starts right behind its first number: "1998 900 00 014".
    A group named ``keep`` at a match's beginning stays.
    """
    parts: list[str] = []
    kept = place = 0
    while (match := pattern.search(text, place)) is not None:
        if meant(match):
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


def before(match: re.Match[str], characters: int = 40) -> str:
    """What stands in front of a match."""
    return match.string[max(0, match.start() - characters) : match.start()]


def has_unit(match: re.Match[str], *, letters: bool = False) -> bool:
    """Whether a measure or an amount follows, or a currency stands in front.

    ``letters``: one letter is a unit too (12 m, 16 A), which no number of eight digits has.
    """
    text, end = match.string, match.end()
    return bool(
        _UNIT.match(text, end)
        or _CURRENCY.search(before(match, 6))
        or (letters and _LETTER_UNIT.match(text, end))
    )


def is_catalogued(match: re.Match[str]) -> bool:
    """Whether the number is said to be that of a thing: an article, an order, an account."""
    return bool(_CATALOGUE.search(before(match)))


def digits(text: str) -> str:
    """Its decimal digits of any script, as those of ASCII."""
    return "".join(str(int(c)) for c in text if c.isdecimal())


def starts_sentence(text: str, place: int) -> bool:
    """Whether a capital letter at ``place`` says nothing: any word would have one there."""
    front = text[max(0, place - 4) : place].rstrip(" \t\"'«»(")
    return not front or front[-1] in ".!?:\n…" or "\n" in text[max(0, place - 1) : place]
