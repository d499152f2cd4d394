"""What a category's description says, part by part: each part is compared with postings by itself.

A posting is about one of the things that a category covers, and a long scope is near to none of
them alone. On the demo's catalog, without exemplars, the parts find 67% of the first choices of
calibration_nb (`make bench ONLY="names and scopes"`), the whole descriptions alone 61%.
"""

from __future__ import annotations

import re

from .normalize import NAME_SEPARATOR

#: Parts of one description. A scope of pages says the same again.
MAX_PARTS = 24
_SHORTEST_WORD = 3
_WORD = re.compile(r"[^\W\d_][\w-]*")
#: "not …" up to the next punctuation: what belongs elsewhere must not attract postings.
_EXCLUDED = re.compile(
    r"[ \t,;(]*\b(?:men |but )?"
    r"(?:ikke|ikkje|inte|not|unntatt|unnateke|undtagen|undantaget|förutom|utenom|except|excluding)\b"
    r"[^.,;:()\n]*\)?",
    re.IGNORECASE,
)
#: Words that say nothing about a thing, in Norwegian, Danish, Swedish and English.
_FUNCTION_WORDS = frozenset(
    _WORD.findall(
        """alle alt and andre any att både den denne der det dette din eget egen eller ett etter for
        fra från for før för han har hele hva hvis inn inne kan med mellom mer mest mot når noe noen
        när och ofte også om opp oss over per samt sin som the til till under upp ut ute uten ved
        vid your other"""
    )
)


def description_parts(description: str) -> list[str]:
    """The texts that vote for a category, the most telling first: the description itself, each of
    its names (separated by " / " in its first line), its scope (the other lines) and each word.

    What it excludes ("not …", "ikke …") is in none of them, except where it is the whole name ("Not
    in this list"). A text stands once; "" gives none.

    >>> description_parts("Maling / Painting\\nMale vegger, ikke tapet")
    ['Maling / Painting\\nMale vegger', 'Maling', 'Painting', 'Male vegger', 'Male', 'vegger']
    """
    first, _, rest = description.strip().partition("\n")
    names = [_without_excluded(name) or name.strip() for name in first.split(NAME_SEPARATOR)]
    lines = map(_without_excluded, rest.splitlines())
    scope = "\n".join(line for line in lines if line)
    said = f"{NAME_SEPARATOR.join(names)}\n{scope}"
    words = [
        word
        for word in _WORD.findall(f"{' '.join(names)} {scope}")
        if len(word) >= _SHORTEST_WORD and word.casefold() not in _FUNCTION_WORDS
    ]
    by_key: dict[str, str] = {}
    for part in (said, *names, scope, *words):
        if text := part.strip():
            by_key.setdefault(text.casefold(), text)
    return list(by_key.values())[:MAX_PARTS]


def _without_excluded(line: str) -> str:
    """The line without what it excludes, and without the punctuation that is left at its ends."""
    kept = _EXCLUDED.sub("", line)
    return line.strip() if kept == line else kept.strip(" \t.,;:")
