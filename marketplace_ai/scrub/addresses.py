"""Street addresses with a number: Storgata 12B, Kirkeveien 3 C, 0368 Oslo, 12 High Street.

A street alone stays, and so does what only looks like one: "gangvei 30 m", "bakhagen 200 kvm".
Endings that hardly any other word has (-gata, -veien, -gatan, -vej) are enough with a number
behind them; those of common nouns (-lia, -bakken, -plassen) need a name's capital letter or a
preposition, and something behind the number that does not count things.
"""

from __future__ import annotations

import re

from .rule import BLANK, before, has_unit, replaced, starts_sentence
from .streets import (
    DIRECTIONS,
    ENGLISH_KINDS,
    NORDIC_KINDS,
    STRONG_END,
    WEAK_END,
    is_other,
    is_road,
    is_thing,
)

_PROPER = r"[A-ZÆØÅÄÖÜÉ][\w'’.\-]{1,30}"
_LAST = r"[A-ZÆØÅÄÖÜÉ][\w'’\-]{1,30}"
_LETTER = rf"(?:[A-Za-z]|{BLANK}(?:[A-HJ-Z]|[a-d]))(?![\w/])"
_NUMBER = rf"\d{{1,4}}(?:{_LETTER})?(?:{BLANK}?[-–/]{BLANK}?\d{{1,4}}(?:{_LETTER})?)?(?!\d|[.,:]\d)"
_FLAT = (
    rf"(?:,?{BLANK}?(?:(?:leil(?:ighet)?|lgh|lägenhet|lejl(?:ighed)?|bolig|apt|apartment|flat|unit|"
    rf"oppgang|opg|inng(?:ang)?)\.?{BLANK}?(?:nr\.?{BLANK}?)?[A-Z]?\d{{1,4}}[A-Z]?(?!\w)"
    rf"|[HKLU]\d{{4}}(?!\w)|\d{{1,2}}\.?{BLANK}?(?:tv|th|mf)(?!\w)))?"
)
_POSTCODE = (
    rf"(?:(?:,\s?|\s)(?:(?:NO?|SE?|DK)-)?\d{{3}}{BLANK}?\d{{1,2}}(?={BLANK}+[A-ZÆØÅÄÖ])"
    rf"|(?:,?{BLANK}[A-Z]\w{{2,20}})?,?{BLANK}[A-Z]{{1,2}}\d[A-Z\d]?{BLANK}?\d[A-Z]{{2}}(?!\w))?"
)
_REST = rf"{_FLAT}{_POSTCODE}"
_NR = rf"(?:{BLANK}(?:nr|no|nummer)\.?(?=\W))?"

#: Storgata 12, Øvre Slottsgate 12, storgata12.
_JOINED = re.compile(
    rf"(?<!\w)(?:(?i:{DIRECTIONS}){BLANK})?(?P<street>(?:[^\W\d_]|['’\-]){{3,31}}+\.?){_NR}"
    rf"{BLANK}?(?P<number>{_NUMBER}){_REST}"
)
#: Karl Johans gate 22; names that begin a sentence may be its verb.
_APART = re.compile(
    rf"(?<!\w)(?:(?<=[^.!?:\n…\s] )(?:{_PROPER}{BLANK}){{1,2}})?(?P<name>{_LAST}){BLANK}"
    rf"(?:(?P<nordic>(?i:{NORDIC_KINDS}))|{ENGLISH_KINDS}){_NR}{BLANK}(?P<number>{_NUMBER}){_REST}"
)
#: Øvre Bakklandet 12.
_DIRECTED = re.compile(
    rf"(?<!\w)(?i:{DIRECTIONS}){BLANK}{_LAST}{_NR}{BLANK}(?P<number>{_NUMBER}){_REST}"
)
#: 12 High Street, 3 St. James Road, London SW1A 1AA.
_ENGLISH = re.compile(
    rf"(?<![\w.,])\d{{1,4}}[A-Za-z]?(?:[-–/]\d{{1,4}}[A-Za-z]?)?,?{BLANK}"
    rf"(?:{_PROPER}{BLANK}){{1,3}}(?:{ENGLISH_KINDS})(?!\w){_REST}"
)
_LOWER_ENGLISH = re.compile(
    rf"(?P<keep>(?<!\w)(?:at|address|address:|is|live on|from|to){BLANK})\d{{1,4}}[a-z]?{BLANK}"
    rf"(?!(?:lane|way|met\w+|foot|feet|m|km|miles?|of|old|new|small|big|car|min\w*|more)\b)"
    rf"[a-z][\w'’\-]{{2,20}}{BLANK}(?:street|road|avenue|lane|drive|close|crescent|terrace)"
    rf"(?!\w){_REST}",
    re.IGNORECASE,
)
#: "Adresse: Solbakken 4", "bor i Nyhavn 17": any name will do.
_SAID = re.compile(
    rf"(?P<keep>(?<!\w)(?i:adresse[nr]?|adress(?:en)?|address|adr|b[ou]r{BLANK}(?:i|på))\.?"
    rf"(?:{BLANK}(?i:er|is|är|vår|min|vores|our|my)){{0,2}}{BLANK}?[:=\-]?{BLANK}?)"
    rf"(?:{_PROPER}{BLANK}){{1,4}}(?P<number>{_NUMBER}){_REST}"
)
#: The code of a Norwegian dwelling.
_DWELLING = re.compile(
    rf"(?<!\w)(?:(?:leil(?:ighet)?|bolig|bruksenhet)\w{{0,9}}\.?{BLANK}(?:nr\.?{BLANK})?"
    rf"[HKLU]\d{{4}}|[HKLU]0\d0\d)(?!\w)",
    re.IGNORECASE,
)

#: A preposition of place, or a word that says that an address comes.
_PLACED = re.compile(
    r"\b(?:i|på|til|fra|frå|ved|under|mot|hos|vid|från|till|in|at|on|to|from|near|langs|b[ou]r|bo|"
    r"adr|adress\w*|address)(?: er| is| är)?[ :.,\-]*$",
    re.IGNORECASE,
)
#: What stands behind an address and not behind a number of things.
_CLOSED = re.compile(
    r"\s*(?:$|[,.;:!?)(\n…/«»\"–-]|(?:i|på|ved|og|eller|er|har|til|fra|frå|hos|in|at|and|or|is|"
    r"och|vid|är|av|der|hvor|where|etter|after|for|som|med|den|det|kl|takk|thanks|tlf|ring)(?!\w))",
    re.IGNORECASE,
)


def scrub(text: str) -> str:
    text = replaced(text, _SAID, lambda match: _is_number(match) and _is_closed(match))
    text = replaced(text, _APART, _is_named)
    text = replaced(text, _JOINED, _is_street)
    text = replaced(text, _DIRECTED, _is_directed)
    text = replaced(text, _ENGLISH, _is_english)
    text = replaced(text, _LOWER_ENGLISH, lambda match: True)
    return replaced(text, _DWELLING, lambda match: True)


def _is_street(match: re.Match[str]) -> bool:
    street = match["street"]
    if is_other(street) or not _is_number(match):
        return False
    placed = bool(_PLACED.search(before(match)))
    capital = street[0].isupper()
    if found := STRONG_END.fullmatch(street):
        stem, end = found["stem"], found["end"].lower()
        if len(stem) < 2:
            return False
        if is_road(stem) or (end == "gate" and not capital):
            return placed and capital and _is_closed(match)
        if end in ("gt", "vn", "vg"):
            return capital and (placed or _is_closed(match))
        return capital or placed or _is_closed(match)
    found = WEAK_END.fullmatch(street)
    if not found or len(found["stem"]) < 3 or is_thing(found["stem"]):
        return False
    if found["end"].lower() in ("alle", "plan", "far", "sti", "terrasse", "terrassen") and not (
        capital and placed
    ):
        return False
    if capital and not starts_sentence(match.string, match.start()):
        return placed or _is_closed(match)
    return _is_closed(match) and (placed or capital)


def _is_named(match: re.Match[str]) -> bool:
    """A genitive or a direction before the word, or all signs of a place around it."""
    if not _is_number(match):
        return False
    if match["nordic"] is None or match["name"][-1] in "szx’'":
        return True
    if match["nordic"].startswith("all") or re.fullmatch(DIRECTIONS, match["name"], re.IGNORECASE):
        return True
    return bool(_PLACED.search(before(match))) and _is_closed(match)


def _is_directed(match: re.Match[str]) -> bool:
    capital = match[0][0].isupper() and not starts_sentence(match.string, match.start())
    placed = bool(_PLACED.search(before(match)))
    return _is_number(match) and _is_closed(match) and (capital or placed)


def _is_number(match: re.Match[str]) -> bool:
    """No measure, no amount and no year."""
    number = match["number"]
    year = re.fullmatch(r"(?:19|20)\d\d", number)
    return not (has_unit(match, letters=True) or year or number.startswith("00"))


def _is_closed(match: re.Match[str]) -> bool:
    return bool(_CLOSED.match(match.string, match.end()))


def _is_english(match: re.Match[str]) -> bool:
    """Not "3 Park Lane chairs": a place behind it or before it, or nothing."""
    followed = match.string[match.end() : match.end() + 2].lstrip(" ")[:1]
    return followed.isupper() or _is_closed(match) or bool(_PLACED.search(before(match)))
