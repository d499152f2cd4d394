"""Street addresses with a number: Storgata 12B, Kirkeveien 3 C, 0368 Oslo, 12 High Street.

A street without a number stays, and so do words and numbers that only look like an address:
"gangvei 30 m", "bakhagen 200 kvm". A street ending (-gata, -veien, -gatan, -vej) with a number
behind it is enough. An ending of common nouns (-lia, -bakken, -plassen) needs a name's capital
letter or a preposition as well, and nothing behind the number that the number could count.
"""

from __future__ import annotations

import re

from .languages import WORDS, any_of
from .rule import BLANK, has_unit, replace_matches, starts_sentence, text_before
from .streets import (
    CAPITAL_ENDINGS,
    PLACE_NAME,
    RARE_ENDINGS,
    SHORT_ENDINGS,
    STREET_NAME,
    is_common_place,
    is_common_road,
    is_no_street,
)

_DIRECTIONS = any_of(WORDS.directions)
_CAPITAL_STREET_WORDS = any_of(WORDS.capital_street_words)

#: A word of a name; the last one before a number has no period.
_NAME = r"[A-ZÆØÅÄÖÜÉ][\w'’.\-]{1,30}"
_LAST_NAME = r"[A-ZÆØÅÄÖÜÉ][\w'’\-]{1,30}"
#: The letter of an entrance. Neither "i" nor "I" behind a blank, which are words.
_LETTER = rf"(?:[A-Za-z]|{BLANK}(?:[A-HJ-Z]|[a-d]))(?![\w/])"
_NUMBER = rf"\d{{1,4}}(?:{_LETTER})?(?:{BLANK}?[-–/]{BLANK}?\d{{1,4}}(?:{_LETTER})?)?(?!\d|[.,:]\d)"
_FLAT_NUMBER_WORD = rf"(?:{any_of(WORDS.flat_number_words)})\.?"
_DWELLING_CODE = r"[HKLU]\d{4}"
_FLAT = (
    rf"(?:,?{BLANK}?(?:(?:{any_of(WORDS.flat_words)})\.?{BLANK}?"
    rf"(?:{_FLAT_NUMBER_WORD}{BLANK}?)?[A-Z]?\d{{1,4}}[A-Z]?(?!\w)"
    rf"|{_DWELLING_CODE}(?!\w)|\d{{1,2}}\.?{BLANK}?(?:{any_of(WORDS.flat_sides)})(?!\w)))?"
)
_POSTCODE = (
    rf"(?:(?:,\s?|\s)(?:(?:NO?|SE?|DK)-)?\d{{3}}{BLANK}?\d{{1,2}}(?={BLANK}+[A-ZÆØÅÄÖ])"
    rf"|(?:,?{BLANK}[A-Z]\w{{2,20}})?,?{BLANK}[A-Z]{{1,2}}\d[A-Z\d]?{BLANK}?\d[A-Z]{{2}}(?!\w))?"
)
_REST = rf"{_FLAT}{_POSTCODE}"
_NUMBER_WORD = rf"(?:{BLANK}(?:{any_of(WORDS.number_words)})\.?(?=\W))?"

#: Storgata 12, Øvre Slottsgate 12, storgata12.
_ONE_WORD = re.compile(
    rf"(?<!\w)(?:(?i:{_DIRECTIONS}){BLANK})?(?P<street>(?:[^\W\d_]|['’\-]){{3,31}}+\.?)"
    rf"{_NUMBER_WORD}{BLANK}?(?P<number>{_NUMBER}){_REST}"
)
#: Karl Johans gate 22; names that begin a sentence may be its verb.
_TWO_WORDS = re.compile(
    rf"(?<!\w)(?:(?<=[^.!?:\n…\s] )(?:{_NAME}{BLANK}){{1,2}})?(?P<name>{_LAST_NAME}){BLANK}"
    rf"(?:(?P<kind>(?i:{any_of(WORDS.street_words)}))|{_CAPITAL_STREET_WORDS})"
    rf"{_NUMBER_WORD}{BLANK}(?P<number>{_NUMBER}){_REST}"
)
#: Øvre Bakklandet 12.
_DIRECTION_FIRST = re.compile(
    rf"(?<!\w)(?i:{_DIRECTIONS}){BLANK}{_LAST_NAME}{_NUMBER_WORD}{BLANK}(?P<number>{_NUMBER}){_REST}"
)
#: 12 High Street, 3 St. James Road, London SW1A 1AA.
_NUMBER_FIRST = re.compile(
    rf"(?<![\w.,])\d{{1,4}}[A-Za-z]?(?:[-–/]\d{{1,4}}[A-Za-z]?)?,?{BLANK}"
    rf"(?:{_NAME}{BLANK}){{1,3}}(?:{_CAPITAL_STREET_WORDS})(?!\w){_REST}"
)
#: at 12 high street.
_LOWER_NUMBER_FIRST = re.compile(
    rf"(?P<keep>(?<!\w)(?:{any_of(WORDS.words_before_house_numbers)}){BLANK})\d{{1,4}}[a-z]?{BLANK}"
    rf"(?!(?:{any_of(WORDS.house_things)})\b)"
    rf"[a-z][\w'’\-]{{2,20}}{BLANK}(?:{any_of(WORDS.house_streets)})(?!\w){_REST}",
    re.IGNORECASE,
)
#: "Adresse: Solbakken 4", "bor i Nyhavn 17": any name will do.
_ANNOUNCED = re.compile(
    rf"(?P<keep>(?<!\w)(?i:{any_of(WORDS.address_words)}"
    rf"|(?:{any_of(WORDS.living_words)}){BLANK}(?:{any_of(WORDS.living_prepositions)}))\.?"
    rf"(?:{BLANK}(?i:{any_of(WORDS.is_words, WORDS.my_words)})){{0,2}}{BLANK}?[:=\-]?{BLANK}?)"
    rf"(?:{_NAME}{BLANK}){{1,4}}(?P<number>{_NUMBER}){_REST}"
)
#: The code of a Norwegian dwelling.
_DWELLING = re.compile(
    rf"(?<!\w)(?:(?:{any_of(WORDS.dwelling_words)})\w{{0,9}}\.?{BLANK}(?:{_FLAT_NUMBER_WORD}{BLANK})?"
    rf"{_DWELLING_CODE}|[HKLU]0\d0\d)(?!\w)",
    re.IGNORECASE,
)

_BEFORE_ADDRESS = re.compile(
    rf"\b(?:{any_of(WORDS.place_words)})(?: (?:{any_of(WORDS.is_words)}))?[ :.,\-]*$", re.IGNORECASE
)
_AFTER_ADDRESS = re.compile(
    rf"\s*(?:$|[,.;:!?)(\n…/«»\"–-]|(?:{any_of(WORDS.words_after_addresses)})(?!\w))",
    re.IGNORECASE,
)
_ONLY_DIRECTION = re.compile(_DIRECTIONS, re.IGNORECASE)


def scrub(text: str) -> str:
    text = replace_matches(text, _ANNOUNCED, lambda match: _is_number(match) and _is_closed(match))
    text = replace_matches(text, _TWO_WORDS, _is_two_words)
    text = replace_matches(text, _ONE_WORD, _is_one_word)
    text = replace_matches(text, _DIRECTION_FIRST, _is_direction_first)
    text = replace_matches(text, _NUMBER_FIRST, _is_number_first)
    text = replace_matches(text, _LOWER_NUMBER_FIRST, lambda match: True)
    return replace_matches(text, _DWELLING, lambda match: True)


def _is_one_word(match: re.Match[str]) -> bool:
    street = match["street"]
    if is_no_street(street) or not _is_number(match):
        return False
    if found := STREET_NAME.fullmatch(street):
        return _is_street(match, found["stem"], found["end"].lower())
    found = PLACE_NAME.fullmatch(street)
    return found is not None and _is_place(match, found["stem"], found["end"].lower())


def _is_street(match: re.Match[str], stem: str, end: str) -> bool:
    """Whether a word with a street ending is an address."""
    if len(stem) < 2:
        return False
    capital = match["street"][0].isupper()
    if is_common_road(stem) or (end in CAPITAL_ENDINGS and not capital):
        return capital and _is_placed(match) and _is_closed(match)
    if end in SHORT_ENDINGS:
        return capital and (_is_placed(match) or _is_closed(match))
    return capital or _is_placed(match) or _is_closed(match)


def _is_place(match: re.Match[str], stem: str, end: str) -> bool:
    """Whether a word with the ending of a common noun is an address."""
    if len(stem) < 3 or is_common_place(stem):
        return False
    capital = match["street"][0].isupper()
    placed = _is_placed(match)
    if end in RARE_ENDINGS and not (capital and placed):
        return False
    if capital and not starts_sentence(match.string, match.start()):
        return placed or _is_closed(match)
    return (placed or capital) and _is_closed(match)


def _is_two_words(match: re.Match[str]) -> bool:
    """A genitive or a direction before the street word, or all signs of a place around it."""
    if not _is_number(match):
        return False
    name, kind = match["name"], match["kind"]
    if kind is None or name[-1] in "szx’'" or kind.startswith(WORDS.sure_street_words):
        return True
    return bool(_ONLY_DIRECTION.fullmatch(name)) or (_is_placed(match) and _is_closed(match))


def _is_direction_first(match: re.Match[str]) -> bool:
    capital = match[0][0].isupper() and not starts_sentence(match.string, match.start())
    return _is_number(match) and _is_closed(match) and (capital or _is_placed(match))


def _is_number_first(match: re.Match[str]) -> bool:
    """Not "3 Park Lane chairs": a place behind the address or before it, or nothing."""
    followed = match.string[match.end() : match.end() + 2].lstrip(" ")[:1]
    return followed.isupper() or _is_closed(match) or _is_placed(match)


def _is_number(match: re.Match[str]) -> bool:
    """Whether the number is neither a measure, nor an amount, nor a year."""
    number = match["number"]
    year = re.fullmatch(r"(?:19|20)\d\d", number)
    return not (has_unit(match, letters=True) or year or number.startswith("00"))


def _is_placed(match: re.Match[str]) -> bool:
    """Whether a preposition of place or an announcement stands in front."""
    return bool(_BEFORE_ADDRESS.search(text_before(match)))


def _is_closed(match: re.Match[str]) -> bool:
    """Whether what follows an address, and not a number of things, stands behind."""
    return bool(_AFTER_ADDRESS.match(match.string, match.end()))
