"""Codes of doors, gates, key boxes and alarms, near a word that says so: "porten har kode 2580"."""

from __future__ import annotations

import re

from .languages import WORDS, any_of
from .rule import BLANK, has_unit, replace_matches, text_before

_IS = any_of(WORDS.is_words)
_KEY_BOX = rf"(?:{any_of(WORDS.key_boxes)})(?:{any_of(WORDS.key_box_endings)})?"
_CODE_WORD = (
    rf"(?:(?:[^\W\d_]{{1,20}}-?)?(?:{any_of(WORDS.code_words)})"
    rf"|{any_of(WORDS.separate_code_words, WORDS.pin_words, WORDS.code_locks)}|{_KEY_BOX})(?!\w)"
)
_CODE = (
    r"[#*]{0,2}(?:\d\d(?=#)|[A-ZÆØÅ]?\d{3,10}[A-ZÆØÅ]?(?:-\d{2,4})?|\d(?:[ .\-]\d){3,7}|"
    r"\d\d[ .\-]\d\d(?:[ .\-]\d\d)?)"
    rf"(?:{BLANK}?[#*]){{0,2}}(?!\w|[.,:/]\d)"
)
_ANY_WORD = r"[^\W\d_][^\W\d_'’\-]{0,20}"
#: What joins a second code to the first: ", i B og C 1906", " eller 1234".
_JOINER = (
    rf"{BLANK}?(?:[,;/&+]|{any_of(WORDS.code_joiners)})"
    rf"(?:{BLANK}?[:=]|{BLANK}(?:{any_of(WORDS.code_places)}|[A-Z])(?!\w)){{0,6}}{BLANK}?"
)
#: "kode 1234", "koden til garasjedøra er 1234", "kode i oppgang A er 1905".
_CODE_LAST = re.compile(
    rf"(?P<keep>(?<!\w)(?P<word>{_CODE_WORD})(?P<between>(?:{BLANK}(?!{_CODE_WORD}){_ANY_WORD}){{0,6}}"
    rf"{BLANK}?(?:[:=\"“«(–-]{BLANK}?){{0,2}}))(?<![^\W\d_])(?P<code>{_CODE})"
    rf"(?:{_JOINER}{_CODE}){{0,6}}",
    re.IGNORECASE,
)
#: "1234 er koden".
_CODE_FIRST = re.compile(
    rf"(?<![\w.,#*]){_CODE}(?={BLANK}(?:{_IS}|=){BLANK}(?:(?:{any_of(WORDS.code_owners)}) )?"
    rf"(?P<word>(?:(?:{any_of(WORDS.code_kinds)}) )?{_CODE_WORD}))",
    re.IGNORECASE,
)
#: 4417#: only a number for a keypad ends with this key.
_KEYPAD = re.compile(r"(?<![\w.,#*])[*#]{0,2}\d{3,10}#(?!\w)")

#: What stands before "code" in codes that open nothing: "feilkode", "error code".
_OTHER_CODE = re.compile(rf"(?:{any_of(WORDS.other_codes)})(?:{BLANK}?-?)$", re.IGNORECASE)
_CODE_STEM = re.compile(rf"(?:{any_of(WORDS.code_stems)})$", re.IGNORECASE)
_ENDS_WITH_IS = re.compile(
    rf"(?:^|\s)(?:{any_of(WORDS.is_words, WORDS.was_words)}){BLANK}?$|[:=\"“«(–-]{BLANK}?$"
)
_ENDS_WITH_YEAR_WORD = re.compile(rf"(?:^|\s)(?:{any_of(WORDS.year_words)})\s?$")


def scrub(text: str) -> str:
    text = replace_matches(text, _CODE_FIRST, _is_code_first)
    text = replace_matches(text, _CODE_LAST, _is_code_last)
    return replace_matches(text, _KEYPAD, lambda match: True)


def _is_code_first(match: re.Match[str]) -> bool:
    return not _is_other_code(match["word"])


def _is_code_last(match: re.Match[str]) -> bool:
    word, between, code = match["word"], match["between"].lower(), match["code"]
    if _is_other_code(text_before(match, 24) + word) or has_unit(match):
        return False
    if word.lower() in WORDS.pin_words and not re.fullmatch(r"[#*]*\d{4,6}[#*]*", code):
        return False
    if word.lower().startswith(WORDS.code_locks):
        return bool(_ENDS_WITH_IS.search(between))
    if not between.strip() or _ENDS_WITH_IS.search(between):
        return True
    digits = sum(map(str.isdecimal, code))
    if digits < 4 or _ENDS_WITH_YEAR_WORD.search(between):
        return False
    return between.split()[0] in WORDS.code_prepositions


def _is_other_code(front: str) -> bool:
    """Whether the text up to the end of the code's word names a code that opens nothing."""
    return bool(_OTHER_CODE.search(_CODE_STEM.sub("", front)))
