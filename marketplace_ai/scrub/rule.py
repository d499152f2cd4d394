"""What all rules share: finding, weighing and replacing, and the words around a number."""

from __future__ import annotations

import re
from collections.abc import Callable

#: Stands where personal data was. No letter, digit or blank, so that nothing on its two sides
#: ever grows together, and nothing of a text's words is added to or repeated.
MARK = "…"

#: A blank within a line.
BLANK = r"[^\S\n]"
#: Between the groups of one number: a blank, or a dot or dash with or without one.
JOINT = rf"(?:{BLANK}?[.\-‐-―·]{BLANK}?|{BLANK})"

_UNIT = re.compile(
    r"""[^\S\n]?(?: [°%"”″²³] | ,- | :- | (?:
    kvm | kvadrat\w* | km | m[²³23] | [mcd]m[²³23]? |
    (?:kilo|milli|centi|løpe)?met(?:er|re|ers|res) | lm | lpm | tommer | tommars | tum | tomme |
    inch(?:es)? | ft | feet | sqm | sq | kubikk\w* |
    kg | kilo | gram | tonn? | liter\w* | litres? | dl | kwh? | kwp | mwh | watt |
    kv | volt | amp\w* | hk | bar | btu | bq | mbit | mb | gb | tb | hz | rpm |
    kr | kroner | kronor | kroners | nok | sek | dkk | eur | euro | usd | gbp | pund | pounds? |
    mill?\w* | tusen | stk | styk\w* | stycken | pcs | prosent | procent | percent | grader? |
    (?:[234]-?)?roms? | soverom\w* | rums? | rooms? | bedrooms? | bad | boder |
    etasjer | etager | våningar | floors |
    år\w* | years? | uker? | veker | veckor | uger | weeks? | dag(?:er|ar|e)? | days? |
    måneder | mnd | månader | months? | timer? | timar | timmar | hours? | min(?:utter)? |
    personer | pers | gjester | gäster | people | guests | mål | plasser | boenheter |
    leiligheter | enheter | vinduer | dører | biler | lag | strøk | trinn | ganger | hjul |
    stolper | trær | busker | naboer | hester? | barn
    )(?!\w) )""",
    re.IGNORECASE | re.VERBOSE,
)
_LETTER = re.compile(r"[^\S\n]?[malgvwtx×*](?![\w/])", re.IGNORECASE)
_MONEY = re.compile(r"(?:\bkr\.?|\bnok|\bsek|\bdkk|\beur|[€$£])[^\S\n]?$", re.IGNORECASE)
_CATALOGUE = re.compile(
    r"""(?: \bart(?:ikkel|ikel)?\.?(?:nr|no|nummer)?s? | \bvare(?:nr|nummer)? | \bnobb\w* |
    \bserie(?:nr|nummer)? | \bserial(?:[^\S\n]?(?:no|number))? | \bs/?n | \bmodell?(?:nr|nummer)? |
    \btype | \bord(?:re|er)(?:nr|nummer)? | \bean | \bgtin | \bfinn(?:[-.]?(?:kode|nr|no))? |
    \bfaktura(?:nr|nummer)? | \binvoice | \bsaks?(?:nr|nummer) | \borg\.?(?:nr|nummer)? |
    \b(?:gnr|bnr|gårdsnr|bruksnr) | \bproduct(?:[^\S\n]?(?:no|code|number))? | \bprodukt(?:nr)? |
    \bpart(?:[^\S\n]?(?:no|number))? | \bkonto(?:nr|nummer)? | \bref(?:\.|eranse)?(?:nr)?
    )[^\S\n]{0,2}[.:#=]?[^\S\n]{0,2}(?:er|is|är)?[^\S\n]?$""",
    re.IGNORECASE | re.VERBOSE,
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
        or _MONEY.search(before(match, 6))
        or (letters and _LETTER.match(text, end))
    )


def is_catalogued(match: re.Match[str]) -> bool:
    """Whether the number is said to be that of a thing: an article, an order, an account."""
    return bool(_CATALOGUE.search(before(match)))


def digits(text: str) -> str:
    """Its decimal digits of any script, as those of ASCII."""
    return "".join(str(int(c)) for c in text if c.isdecimal())


def words(listed: str) -> str:
    """A pattern for a list of words, longest first."""
    return "|".join(
        map(re.escape, sorted(set(listed.split()), key=lambda word: (-len(word), word)))
    )


def starts_sentence(text: str, place: int) -> bool:
    """Whether a capital letter at ``place`` says nothing: any word would have one there."""
    front = text[max(0, place - 4) : place].rstrip(" \t\"'«»(")
    return not front or front[-1] in ".!?:\n…" or "\n" in text[max(0, place - 1) : place]
