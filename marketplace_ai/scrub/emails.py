"""E-mail addresses, plain (ola@firma.no) and in words (ola at firma dot no)."""

from __future__ import annotations

import re

from .languages import WORDS, any_of
from .rule import BLANK, replace_matches

_TOP_DOMAIN = (
    r"(?:no|se|dk|fi|is|com|net|org|eu|uk|de|fr|nl|pl|es|it|ie|us|info|io|nu|biz|me|name|email)"
)
_MAIL_HOSTS = (
    r"(?:gmail|googlemail|hotmail|outlook|live|yahoo|icloud|me|msn|online|proton(?:mail)?|"
    r"getmail|broadpark|telia|mail|lyse|altibox|frisurf)"
)
_LOCAL = r"(?<![\w.+%-])[\w.+%-]++"
_HOST = r"[\w-]{1,63}+(?:\.[\w-]{1,63}+){0,8}+"
_DOT = rf"(?:{BLANK}?[(\[{{<]?{BLANK}?(?:{any_of(WORDS.dot_words)}){BLANK}?[)\]}}>]?{BLANK}?)"
_BRACKETED_AT = any_of(WORDS.bracketed_at_words)
_AT_WORD = any_of(WORDS.at_words)
_AT_PREPOSITION = any_of(WORDS.at_prepositions)
_AT = (
    rf"{BLANK}?(?:[(\[{{<]{BLANK}?(?:{_BRACKETED_AT}|a|@){BLANK}?[)\]}}>]"
    rf"|(?:{_AT_WORD})(?!\w)){BLANK}?"
)
#: Every text with an e-mail address has a match of this pattern, which costs less than the rules.
SIGN = rf"@|[(\[{{<]\s?(?:{_BRACKETED_AT}|a)|{_AT_WORD}|\b(?:{_AT_PREPOSITION})\b"
_PLAIN = re.compile(
    rf"{_LOCAL}(?:@|{BLANK}@{BLANK}?|@{BLANK}){_HOST}(?:(?:,{BLANK}?|\.{BLANK}){_TOP_DOMAIN}(?!\w))?",
    re.IGNORECASE,
)
_IN_WORDS = re.compile(
    rf"{_LOCAL}(?:(?:{_DOT})[\w+%-]{{1,63}}+){{0,3}}+"
    rf"(?:{_AT}[\w-]{{1,63}}+(?:(?:\.|{_DOT})[\w-]{{1,63}}+){{1,5}}"
    rf"|(?:{BLANK}(?:{_AT_PREPOSITION}){BLANK}|{BLANK}?@{BLANK}?)[\w-]{{1,63}}+"
    rf"(?:{_DOT}[\w-]{{1,63}}+){{0,4}}{_DOT}{_TOP_DOMAIN}(?!\w)"
    rf"|{BLANK}(?:{_AT_PREPOSITION}){BLANK}{_MAIL_HOSTS}\.{_TOP_DOMAIN}(?!\w))",
    re.IGNORECASE,
)


def scrub(text: str) -> str:
    return replace_matches(
        replace_matches(text, _IN_WORDS, lambda match: True), _PLAIN, _is_address
    )


def _is_address(match: re.Match[str]) -> bool:
    """Whether the @ is not that of a price or a place: "10@50", "kl 12 @ Oslo"."""
    local, _, host = match[0].partition("@")
    top = host.rpartition(".")[2]
    named = any(map(str.isalpha, local))
    if local.endswith(" ") or host.startswith(" "):
        return named and "." in host.strip() and top.isalpha()
    if "." in host or "," in host:
        return any(map(str.isalpha, top))
    return named and len(host) > 2 and host.isalpha()
