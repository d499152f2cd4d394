"""What a posting's text is made into before anything looks at it.

Postings come from forms, imports and other people's programs, so a text may hold whatever a
Python string can: NUL (which Postgres refuses), lone surrogates (which UTF-8 refuses), a
megabyte of blanks. ``prepare`` makes each of them encodable, so that none of them can cost
another posting its place in a batch.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from hashlib import blake2b

#: Raw characters read for each character kept: what bounds the work on a text of any size.
_READ_FOR_EACH_KEPT = 8
#: How far a cut may move back to leave a cluster whole: the longest emoji of Unicode 16 are
#: ten code points, and no written language stacks more marks than that on one letter.
_LONGEST_CLUSTER = 16

_SURROGATE = re.compile("[\ud800-\udfff]")
# Invisible and without meaning of their own (soft hyphen, zero-width space, word joiner, byte
# order mark): left inside a word they would make another word of it.
_INVISIBLE = re.compile("[\u00ad\u200b\u2060\ufeff]")
# C0 and C1 controls; those that are white space are matched by \s as well. A single space or
# line feed is what it should be already: most blanks of a text are, so they are not looked at.
_BLANK_RUN = re.compile(r"[\s\x00-\x1f\x7f-\x9f]{2,}|[\x00-\x09\x0b-\x1f\x7f-\x9f]|[^\S \n]")
_JOINER = "\u200d"


def prepare(text: str, max_chars: int = 4000) -> str:
    """Any string as clean text of at most ``max_chars`` characters, in NFC.

    Control characters count as white space, runs of white space become one space or, where
    they hold a line's end, one line feed (a posting's first line is its title). Halves of
    surrogate pairs are joined and lone ones become U+FFFD, invisible characters inside words
    go. Letters, case, punctuation and emoji stay as they were: NFC joins a letter and its
    accent that were typed apart, nothing more (NFKC would make ``m²`` into ``m2``). The cut
    never falls inside a cluster of a letter and its marks, or of joined emoji. Idempotent.

    Only the first ``8 * max_chars`` raw characters are read, so a text of 10 MB costs no more
    than one of 32,000 characters.
    """
    text = text[: max_chars * _READ_FOR_EACH_KEPT]
    if _SURROGATE.search(text):
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    text = unicodedata.normalize("NFC", _INVISIBLE.sub("", text))
    text = _BLANK_RUN.sub(_blank, text).strip()
    if len(text) > max_chars:
        text = text[: _cut(text, max_chars)].rstrip()
    return text


def digest(text: str) -> bytes:
    """16 bytes that stand for a prepared text: BLAKE2b of its UTF-8 form.

    The text is taken as it is, so pass what ``prepare`` returned (its limit is the caller's).
    """
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def is_blank(text: str) -> bool:
    """Whether a text says nothing: it has no letter and no digit."""
    return not any(map(str.isalnum, text))


def one_line(text: str) -> str:
    """For a log, whatever was quoted in ``text``: no line's end, nothing that a terminal obeys."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _blank(run: re.Match[str]) -> str:
    return "\n" if "\n" in run[0] or "\r" in run[0] else " "


def _cut(text: str, limit: int) -> int:
    """The last place at or before ``limit`` where ``text`` can be cut between clusters."""
    for place in range(limit, max(limit - _LONGEST_CLUSTER, 0), -1):
        if not _continues(text[place]) and text[place - 1] != _JOINER:
            return place
    return limit


def _continues(character: str) -> bool:
    """Whether a character belongs to the one before it (mark, joiner, skin tone)."""
    return (
        character == _JOINER
        or "\U0001f3fb" <= character <= "\U0001f3ff"
        or unicodedata.category(character) in ("Mn", "Mc", "Me")
    )


def description(names: Iterable[str], scope: str) -> str:
    """A category in words: its different names in one line, then its scope; "" for nothing."""
    distinct = dict.fromkeys(name for name in names if name)
    return "\n".join(filter(None, [" / ".join(distinct), scope]))
