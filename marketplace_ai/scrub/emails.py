"""E-mail addresses, plain and written so that no machine should find them."""

from __future__ import annotations

import re

from .rule import BLANK, replaced

_TOP = r"(?:no|se|dk|fi|is|com|net|org|eu|uk|de|fr|nl|pl|es|it|ie|us|info|io|nu|biz|me|name|email)"
_MAIL_HOSTS = (
    r"(?:gmail|googlemail|hotmail|outlook|live|yahoo|icloud|me|msn|online|proton(?:mail)?|"
    r"getmail|broadpark|telia|mail|lyse|altibox|frisurf)"
)
_LOCAL = r"(?<![\w.+%-])[\w.+%-]++"
_HOST = r"[\w-]{1,63}+(?:\.[\w-]{1,63}+){0,8}+"
_DOT = rf"(?:{BLANK}?[(\[{{<]?{BLANK}?(?:dot|punktum|punkt|prikk){BLANK}?[)\]}}>]?{BLANK}?)"
_SIGN = (
    rf"{BLANK}?(?:[(\[{{<]{BLANK}?(?:at|a|@|snabel-?a|alfakrøll|krøllalfa){BLANK}?[)\]}}>]"
    rf"|(?:snabel-?a|krøll-?alfa|alfa-?krøll)(?!\w)){BLANK}?"
)
_PLAIN = re.compile(
    rf"{_LOCAL}(?:@|{BLANK}@{BLANK}?|@{BLANK}){_HOST}(?:(?:,{BLANK}?|\.{BLANK}){_TOP}(?!\w))?",
    re.IGNORECASE,
)
_HIDDEN = re.compile(
    rf"{_LOCAL}(?:(?:{_DOT})[\w+%-]{{1,63}}+){{0,3}}+"
    rf"(?:{_SIGN}[\w-]{{1,63}}+(?:(?:\.|{_DOT})[\w-]{{1,63}}+){{1,5}}"
    rf"|(?:{BLANK}at{BLANK}|{BLANK}?@{BLANK}?)[\w-]{{1,63}}+(?:{_DOT}[\w-]{{1,63}}+){{0,4}}{_DOT}{_TOP}(?!\w)"
    rf"|{BLANK}at{BLANK}{_MAIL_HOSTS}\.{_TOP}(?!\w))",
    re.IGNORECASE,
)


def scrub(text: str) -> str:
    return replaced(replaced(text, _HIDDEN, lambda match: True), _PLAIN, _is_address)


def _is_address(match: re.Match[str]) -> bool:
    """Not the @ of a price or of a handle: "10@50", "kl 12 @ Oslo"."""
    local, _, host = match[0].partition("@")
    top = host.rpartition(".")[2]
    named = any(map(str.isalpha, local))
    if local.endswith(" ") or host.startswith(" "):
        return named and "." in host.strip() and top.isalpha()
    if "." in host or "," in host:
        return any(map(str.isalpha, top))
    return named and len(host) > 2 and host.isalpha()
