"""Street names, and common words that end like one.

The endings of streets are of two kinds: hardly any other word ends in -gata or -veien, but many
common nouns end in -hagen or -plassen.
"""

from __future__ import annotations

import re

from .languages import WORDS, any_of

#: A number behind a word with such an ending is enough for an address.
STREET_NAME = re.compile(
    r"(?P<stem>.*?)(?P<end>"
    + any_of(WORDS.street_endings, WORDS.capital_street_endings, WORDS.short_street_endings)
    + ")",
    re.IGNORECASE,
)
PLACE_NAME = re.compile(
    rf"(?P<stem>.*?)(?P<end>{any_of(WORDS.place_endings, WORDS.rare_place_endings)})",
    re.IGNORECASE,
)
CAPITAL_ENDINGS = frozenset(WORDS.capital_street_endings)
SHORT_ENDINGS = frozenset(WORDS.short_street_endings)
RARE_ENDINGS = frozenset(WORDS.rare_place_endings)

_ROAD_STEM = re.compile(rf".*(?:{any_of(WORDS.road_stems)})", re.IGNORECASE)
_PLACE_STEM = re.compile(rf".*(?:{any_of(WORDS.place_stems)})", re.IGNORECASE)
_NUMBERED_ROAD = re.compile(
    rf"(?:{any_of(WORDS.numbered_road_stems)})(?:{any_of(WORDS.numbered_road_words)})\w*",
    re.IGNORECASE,
)
_OTHER_WORD = re.compile(rf"(?:{any_of(WORDS.other_words)})", re.IGNORECASE)


def is_no_street(word: str) -> bool:
    """Whether a word that ends like a street is another word, or a road that has a number."""
    return bool(_OTHER_WORD.fullmatch(word) or _NUMBERED_ROAD.fullmatch(word))


def is_common_road(stem: str) -> bool:
    """Whether a stem makes a common noun of a street ending: "gang" in "gangvei"."""
    return bool(_ROAD_STEM.fullmatch(stem))


def is_common_place(stem: str) -> bool:
    """Whether a stem makes a common noun of a place ending: "barne" in "barnehagen"."""
    return bool(_PLACE_STEM.fullmatch(stem))
