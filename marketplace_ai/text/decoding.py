"""From the bytes of a file to its text: the encoding is chosen by evidence, never by a guess."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import NamedTuple

from marketplace_ai.text.table_error import TableError

UTF8 = "UTF-8"
#: UTF-32 first: its mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8", UTF8),
    (codecs.BOM_UTF32_LE, "utf-32-le", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32-be", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16"),
)
#: Files of other kinds, by their first bytes.
_SIGNATURES = (
    (
        b"\xd0\xcf\x11\xe0",
        "is an old Excel workbook (.xls), or one with a password. Save it as .xlsx without a "
        "password, or as CSV UTF-8",
    ),
    (b"%PDF", "is a PDF. Export the table as CSV UTF-8"),
    (b"\x1f\x8b", "is compressed. Unpack it first"),
    (b"PK\x03\x04", "is a workbook or another archive, where a text file is expected"),
)
#: Letters outside ASCII of Norwegian, Danish, Swedish, Finnish, English and their loan words. A
#: letter that other Windows code pages have in the same place, as in 1250, is not among them.
_LETTERS = frozenset("æøåäöüéèêëóòôàáâíúçñïîßÆØÅÄÖÜÉÈÊËÓÒÔÀÁÂÍÚÇÑÏÎ")
_ANYWHERE = frozenset("\u2013\u2014\u2019\u2026\u2022€£§°«»·±µ\xd7\xb4\xa0\xad")
#: These are letters in MS-DOS and on old Macs, so inside a word they are no evidence.
_NOT_INSIDE_WORDS = frozenset("\u2018\u201c\u201d\u201e")
_NOT_BEFORE_LETTERS = frozenset("²³½¼¾®©™")
#: What ``surrogateescape`` (PEP 383) makes of the bytes 0x80 to 0xff: their value plus this.
_ESCAPE = 0xDC00
_ESCAPES = frozenset(map(chr, range(_ESCAPE + 0x80, _ESCAPE + 0x100)))
#: So many letters outside ASCII in a row are of another alphabet.
_MAX_RUN = 2
_MAX_SHOWN = 20


class Decoded(NamedTuple):
    """The text of a file, without a byte order mark, and its encoding as people name it."""

    text: str
    encoding: str


def read_bytes(path: Path) -> bytes:
    """The bytes of a file; TableError if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise TableError(f"{path}: {error.strerror}.") from None


def decode(path: Path, data: bytes) -> Decoded:
    """The text of a file in UTF-8, UTF-16, UTF-32 or Windows-1252.

    UTF-16 is known by its mark, or by the zero bytes of its first letter. Windows-1252 is taken
    only where every character outside ASCII is one that Nordic or English text has, in a place
    where it may stand. Single bytes that are not UTF-8 in a file that is UTF-8 elsewhere become
    lone surrogates (``broken_byte`` finds them), so that the rows they stand in can be refused
    alone. Raises TableError that names the line of what is none of these.
    """
    for signature, sentence in _SIGNATURES:
        if data.startswith(signature):
            raise TableError(f"{path}: {sentence}.")
    mark, codec, encoding = _encoding(data)
    try:
        text = data[len(mark) :].decode(codec).lstrip("\ufeff")
    except UnicodeDecodeError as error:
        if codec == "utf-8" and (escaped := _escaped(data[len(mark) :])):
            return Decoded(escaped.lstrip("\ufeff").removesuffix("\x1a"), encoding)
        if codec == "utf-8" and not mark and b"\x00" not in data:
            text, encoding = _windows_1252(path, data, error), "Windows-1252"
            return Decoded(text.removesuffix("\x1a"), encoding)
        line = data[: len(mark) + error.start].count(b"\n") + 1
        raise TableError(
            f"{path}, line {line}: not {encoding}, though it begins so. Save it again as UTF-8."
        ) from None
    # The end-of-file mark of MS-DOS.
    return Decoded(text.removesuffix("\x1a"), encoding)


def broken_byte(text: str) -> str | None:
    """What is wrong with a text of ``decode``, with the cure; None: nothing."""
    place = next((i for i, char in enumerate(text) if char in _ESCAPES), None)
    if place is None:
        return None
    return (
        f"the byte 0x{ord(text[place]) - _ESCAPE:02x} after "
        f"{text[max(0, place - _MAX_SHOWN) : place]!r} is not UTF-8, as the rest of the file is. "
        "Write the letter again."
    )


def _escaped(data: bytes) -> str:
    """The text with lone surrogates for broken bytes; "" if more is broken than is UTF-8."""
    text = data.decode("utf-8", "surrogateescape")
    broken = sum(char in _ESCAPES for char in text)
    return text if sum(not char.isascii() for char in text) > 2 * broken else ""


def _encoding(data: bytes) -> tuple[bytes, str, str]:
    """(byte order mark, codec, name)."""
    for mark, codec, name in _MARKS:
        if data.startswith(mark):
            return mark, codec, name
    if len(data) % 2 == 0 and data[2:4].count(0) == 1:
        if data[0] and not data[1] and not data[3]:
            return b"", "utf-16-le", "UTF-16"
        if data[1] and not data[0] and not data[2]:
            return b"", "utf-16-be", "UTF-16"
    return b"", "utf-8", UTF8


def _windows_1252(path: Path, data: bytes, error: UnicodeDecodeError) -> str:
    try:
        text = data.decode("cp1252")
        odd = next((i for i in range(len(text)) if not _may_stand(text, i)), None)
    except UnicodeDecodeError as undefined:  # cp1252 has a character for all but five bytes
        odd = undefined.start
    if odd is None:
        return text
    # One byte is one character, so the place in the text is the place in the bytes.
    line = data[:odd].count(b"\n") + 1 if b"\n" in data else data[:odd].count(b"\r") + 1
    around = data[max(0, odd - _MAX_SHOWN) : odd].split(b"\n")[-1]
    raise TableError(
        f"{path}, line {line}: byte 0x{data[odd]:02x} after "
        f"{around.decode('ascii', 'replace')!r} is not UTF-8, and not Windows-1252 of Nordic or "
        "English text either. Save the file as UTF-8 (in Excel: CSV UTF-8)."
    ) from error


def _may_stand(text: str, place: int) -> bool:
    char = text[place]
    if char.isascii():
        return True
    if char in _LETTERS:
        run = text[max(0, place - _MAX_RUN) : place + 1]
        return len(run) <= _MAX_RUN or not all(letter in _LETTERS for letter in run)
    before, after = text[max(0, place - 1) : place], text[place + 1 : place + 2]
    if char in _NOT_INSIDE_WORDS:
        return not (before.isalpha() and after.isalpha())
    if char in _NOT_BEFORE_LETTERS:
        return not after.isalpha()
    return char in _ANYWHERE
