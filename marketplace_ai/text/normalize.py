"""Normalization of posting texts before anything else reads them.

Postings come from forms, imports and other programs, so a text may hold whatever a Python string
can: NUL (which PostgreSQL refuses), lone surrogates (which UTF-8 refuses), a megabyte of blanks.
``normalize`` makes each of them encodable, so that a bad text cannot fail the batch it is in.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from hashlib import blake2b

#: Raw characters read for each character kept: what bounds the work on a text of any size.
_READ_FOR_EACH_KEPT = 8
#: How far a cut may move back to keep a grapheme cluster whole: the longest emoji of Unicode 16 are
#: ten code points, and no written language puts more marks than that on one letter.
_LONGEST_CLUSTER = 16

_SURROGATE = re.compile("[\ud800-\udfff]")
# Invisible characters without meaning (soft hyphen, zero-width space, word joiner, byte order
# mark): inside a word they would make it another word.
_INVISIBLE = re.compile("[\u00ad\u200b\u2060\ufeff]")
# C0 and C1 controls; those that are white space are matched by \s as well. A single space or line
# feed, as most blanks of a text are, needs no replacement and is not matched.
_BLANK_RUN = re.compile(r"[\s\x00-\x1f\x7f-\x9f]{2,}|[\x00-\x09\x0b-\x1f\x7f-\x9f]|[^\S \n]")
_JOINER = "\u200d"
#: Between the names of a category in its description.
NAME_SEPARATOR = " / "
_WEB_ADDRESS = re.compile(r"(?:\bhttps?://|\bwww\.)\S+", re.IGNORECASE)


def normalize(text: str, max_chars: int = 4000) -> str:
    """Any string as clean text of at most ``max_chars`` characters, in NFC. Idempotent.

    Control characters count as white space. A run of white space becomes one space or, if it
    contains a line break, one line feed (a posting's first line is its title). Surrogate pairs
    are joined, lone surrogates become U+FFFD, and invisible characters are removed. Letters, case,
    punctuation and emoji are kept: NFC joins a letter and its separate accent and does nothing
    more (NFKC would turn ``m²`` into ``m2``). The text is never cut inside a grapheme cluster: a
    letter with its marks, or joined emoji.

    Only the first ``8 * max_chars`` raw characters are read, so a text of 10 MB costs no more than
    one of 32,000 characters.

    >>> normalize("Male  stue\x00 og\tgang ")
    'Male stue og gang'
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
    """A 16-byte digest of a normalized text: BLAKE2b of its UTF-8 form.

    The text is hashed as it is, so pass the result of ``normalize``.
    """
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def is_blank(text: str) -> bool:
    """Whether a text has nothing to go by: no letter and no digit outside of web addresses.

    >>> is_blank("…"), is_blank("https://example.com/ad?id=17"), is_blank("Male stue")
    (True, True, False)
    """
    if not any(map(str.isalnum, text)):
        return True
    if _WEB_ADDRESS.search(text) is None:
        return False
    return not any(map(str.isalnum, _WEB_ADDRESS.sub(" ", text)))


def same_text_key(text: str) -> str:
    """Equal for texts that differ only in case, blanks, punctuation and symbols.

    A text without a letter or digit is equal to itself alone.

    >>> same_text_key("MALE  STUE!!") == same_text_key("Male stue .")
    True
    """
    plain = unicodedata.normalize("NFKC", text).casefold()
    return " ".join("".join(c if c.isalnum() else " " for c in plain).split()) or text.strip()


def one_line(text: str) -> str:
    """The text on one line for a log, without line breaks and terminal control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _blank(run: re.Match[str]) -> str:
    return "\n" if "\n" in run[0] or "\r" in run[0] else " "


def _cut(text: str, limit: int) -> int:
    """The last position up to ``limit`` between two grapheme clusters of ``text``."""
    for position in range(limit, max(limit - _LONGEST_CLUSTER, 0), -1):
        if not _continues(text[position]) and text[position - 1] != _JOINER:
            return position
    return limit


def _continues(character: str) -> bool:
    """Whether a character belongs to the one before it (mark, joiner, skin tone)."""
    return (
        character == _JOINER
        or "\U0001f3fb" <= character <= "\U0001f3ff"
        or unicodedata.category(character) in ("Mn", "Mc", "Me")
    )


def description(names: Iterable[str], scope: str) -> str:
    """The description of a category: its distinct names on one line, then its scope; "" for
    nothing."""
    distinct = dict.fromkeys(name for name in names if name)
    return "\n".join(filter(None, [NAME_SEPARATOR.join(distinct), scope]))
