"""Codes of doors, gates, key boxes and alarms, where the word is near: "porten har kode 2580"."""

from __future__ import annotations

import re

from .rule import BLANK, before, has_unit, replaced

_BOX = (
    r"(?:nøkkelboks|nøkkelskap|nøkkelsafe|nøgleboks|nyckelbox|nyckelskåp|key[ \-]?box|"
    r"lock[ \-]?box|key[ \-]?safe)(?:en|et|s|a)?"
)
_WORD = (
    r"(?:(?:[^\W\d_]{1,20}-?)?(?:koden?|kodene|koder|koda|kod)|kodelås(?:en)?|codes?|pin|"
    rf"{_BOX})(?!\w)"
)
_CODE = (
    r"[#*]{0,2}(?:\d\d(?=#)|[A-ZÆØÅ]?\d{3,10}[A-ZÆØÅ]?(?:-\d{2,4})?|\d(?:[ .\-]\d){3,7}|"
    r"\d\d[ .\-]\d\d(?:[ .\-]\d\d)?)"
    rf"(?:{BLANK}?[#*]){{0,2}}(?!\w|[.,:/]\d)"
)
_LETTERS = r"[^\W\d_][^\W\d_'’\-]{0,20}"
#: What joins a second code to the first: ", i B og C 1906", " eller 1234".
_ALSO = (
    rf"{BLANK}?(?:[,;/&+]|og|eller|and|or|och)(?:{BLANK}?[:=]|{BLANK}(?:i|på|til|for|og|and|in|at|er|is|"
    rf"är|door|gate|dør|døra|porten?|oppgang|opgang|uppgång|entrance|alarm\w*|garasj\w*|garage\w*|"
    rf"[A-Z])(?!\w)){{0,6}}{BLANK}?"
)
#: Words between the code's word and the code: "til garasjedøra er", "i oppgang A er".
_SAID = re.compile(
    rf"(?P<keep>(?<!\w)(?P<word>{_WORD})(?P<between>(?:{BLANK}(?!{_WORD}){_LETTERS}){{0,6}}"
    rf"{BLANK}?(?:[:=\"“«(–-]{BLANK}?){{0,2}}))(?<![^\W\d_])(?P<code>{_CODE})(?:{_ALSO}{_CODE}){{0,6}}",
    re.IGNORECASE,
)
#: "1234 er koden".
_TURNED = re.compile(
    rf"(?<![\w.,#*]){_CODE}(?={BLANK}(?:er|is|är|=){BLANK}(?:the |min |vår |our )?"
    rf"(?P<word>(?:(?:door|gate|alarm|entry) )?{_WORD}))",
    re.IGNORECASE,
)
#: Only a keypad has this key behind a number.
_KEYED = re.compile(r"(?<![\w.,#*])[*#]{0,2}\d{3,10}#(?!\w)")

#: Codes that say what a thing is or has, and nothing about a way in.
_THINGS = re.compile(
    r"(?:feil|feile?|error|fault|fejl|fel|farge|färg|farve|colou?r|paint|ncs|ral|post(?:al)?|zip|qr|"
    r"rabatt|rabat|kampanje|discount|promo|produkt|product|vare|item|maling[s]?|bar|strek|http|country|"
    r"area|source|finn|land|valuta|status|serie|artikkel|material\w*|dress|tax|skatte|viser|shows?|"
    r"showing|blinker|displays?|displayet|gir|giver|ger|model|modell|swift|iban|bank|kid)"
    r"(?:[^\S\n]?-?)$",
    re.IGNORECASE,
)
_SAYS = re.compile(r"(?:^|\s)(?:er|is|är|var|was|blir)[^\S\n]?$|[:=\"“«(–-][^\S\n]?$")
#: What may follow the code's word where nothing says "is": "kode på porten 7788".
_WHOSE = frozenset(
    ("til", "for", "på", "i", "ved", "av", "to", "at", "of", "in", "on", "the", "hos", "till",
     "vid", "utenfor", "outside", "by")
)  # fmt: skip
_OF_A_YEAR = re.compile(
    r"(?:^|\s)(?:fra|frå|from|från|siden|since|år|year|bygd|built|kjøpt|bought|modell?|etter|før)\s?$"
)


def scrub(text: str) -> str:
    text = replaced(text, _TURNED, _is_turned)
    text = replaced(text, _SAID, _is_code)
    return replaced(text, _KEYED, lambda match: True)


def _is_turned(match: re.Match[str]) -> bool:
    return not _is_of_things(match, match["word"])


def _is_code(match: re.Match[str]) -> bool:
    word, between, code = match["word"], match["between"].lower(), match["code"]
    if _is_of_things(match, before(match, 24) + word) or has_unit(match):
        return False
    if word.lower() == "pin" and not re.fullmatch(r"[#*]*\d{4,6}[#*]*", code):
        return False
    if word.lower().startswith("kodelås"):
        return bool(_SAYS.search(between))
    if not between.strip() or _SAYS.search(between):
        return True
    digits = sum(map(str.isdecimal, code))
    if digits < 4 or _OF_A_YEAR.search(between):
        return False
    return between.split()[0] in _WHOSE


def _is_of_things(match: re.Match[str], front: str) -> bool:
    """Whether the code's word, with what stands before it, names another kind of code."""
    named = re.sub(r"(?:kode\w*|koda?|codes?)$", "", front, flags=re.IGNORECASE)
    return bool(_THINGS.search(named))
