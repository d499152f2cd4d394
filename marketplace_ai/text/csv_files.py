"""Tables that people made, CSV or .xlsx: read whole and checked before anything is written."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from marketplace_ai.text import decoding
from marketplace_ai.text.bad_rows import BadRows
from marketplace_ai.text.delimiters import COMMA, NAMES, declared_delimiter, find_delimiter
from marketplace_ai.text.reading_notes import tell
from marketplace_ai.text.table_error import TableError
from marketplace_ai.text.workbooks import SIGNATURE, NumberedRow, read_workbook

__all__ = ["LARGEST_CELL", "Row", "TableError", "read_csv", "read_text"]

#: Python's own limit, 128 KiB for a cell, is less than a long description may have.
LARGEST_CELL = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Row:
    """One row; ``line`` is where it ends in the file, as editors count."""

    line: int
    values: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return self.values[column]


def read_csv(
    path: str | Path,
    required: tuple[str, ...],
    optional: tuple[str, ...] = (),
    bad: BadRows | None = None,
) -> list[Row]:
    """The rows of a table with a header line; cells are stripped, empty lines skipped.

    The table is CSV in UTF-8, UTF-16 or Windows-1252, with commas, semicolons or tabs (or what a
    first line ``sep=;`` declares), or an .xlsx workbook. ``reading_notes`` tells of all but UTF-8
    with commas.

    A row that is no row (more or fewer cells than the header, NUL, a broken byte, a stray double
    quote, the error value of a formula) is noted in ``bad``, which the caller checks when it has
    added its own. Without ``bad`` it is an error here.

    Raises TableError for a file that is missing, of another kind or encoding, lacks a column, names
    a column twice, or whose quotes leave open where a row ends.
    """
    path = Path(path)
    collected = BadRows(str(path)) if bad is None else bad
    rows = _read(path, required, optional, collected)
    collected.total = len(rows) + len(collected.reasons)
    if bad is None:
        collected.check()
    return rows


def _read(
    path: Path, required: tuple[str, ...], optional: tuple[str, ...], bad: BadRows
) -> list[Row]:
    data = decoding.read_bytes(path)
    if data.startswith(SIGNATURE):
        sheet, numbered = read_workbook(path, data, required, bad)
        tell(f"{path}: read from the sheet {sheet!r}.")
        return _rows(path, iter(numbered), required, optional, bad)
    text, encoding = decoding.decode(path, data)
    delimiter, body = declared_delimiter(text)
    first_line = 1 if delimiter is None else 2
    delimiter = delimiter or find_delimiter(path, body, required)
    records = _records(path, body, delimiter, first_line, bad)
    rows = _rows(path, records, required, optional, bad, delimiter)
    _tell_form(path, encoding, delimiter)
    return rows


def read_text(path: Path) -> str:
    """The text of a file that is no table, in an encoding that ``read_csv`` takes too.

    A line with a broken byte is for the caller to refuse (``decoding.broken_byte``). Raises
    TableError as ``read_csv`` does.
    """
    text, encoding = decoding.decode(path, decoding.read_bytes(path))
    if "\x00" in text:
        line = text[: text.index("\x00")].count("\n") + 1
        raise TableError(f"{path}, line {line}: a NUL character. Remove it.")
    _tell_form(path, encoding, COMMA)
    return text


def _tell_form(path: Path, encoding: str, delimiter: str) -> None:
    """Say how a file was read, unless it is UTF-8 with commas."""
    form = [f"as {encoding}"] if encoding != decoding.UTF8 else []
    if delimiter != COMMA:
        form.append(f"with {NAMES.get(delimiter, repr(delimiter))} between the cells")
    if form:
        tell(f"{path}: read {', '.join(form)}.")


def _records(
    path: Path, text: str, delimiter: str, first_line: int, bad: BadRows
) -> Iterator[NumberedRow]:
    """The rows with something in them, and where each ends in the file; the first is the header."""
    csv.field_size_limit(LARGEST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    has_header = False
    while True:
        begin, stripped = reader.line_num + first_line, []
        try:
            stripped = [cell.strip() for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error as error:
            end = reader.line_num + first_line - 1
            problem = (
                f"not valid CSV: {error}. Inside a cell in double quotes, a double quote is "
                "written twice."
            )
            if end > begin or not has_header:
                # Where the rows in between begin and end, nobody can tell.
                since = f" (the row begins in line {begin})" if end > begin else ""
                raise TableError(f"{path}, line {end}: {problem[:-1]}{since}.") from None
            bad.add(end, problem)
        line = reader.line_num + first_line - 1
        if wrong := _wrong_character(stripped):
            if not has_header:
                raise TableError(f"{path}, line {line}: {wrong}")
            bad.add(line, wrong)
        elif any(stripped):
            has_header = True
            yield line, stripped


def _wrong_character(cells: list[str]) -> str | None:
    if any("\x00" in cell for cell in cells):
        return "a NUL character. Remove it."
    return next(filter(None, map(decoding.broken_byte, cells)), None)


def _rows(
    path: Path,
    records: Iterator[NumberedRow],
    required: tuple[str, ...],
    optional: tuple[str, ...],
    bad: BadRows,
    delimiter: str = COMMA,
) -> list[Row]:
    header = _without_empty_end(next(records, (0, []))[1])
    wanted = _wanted_columns(path, header, required, optional)
    rows = []
    for line, cells in records:
        if len(cells) > len(header):
            cells = [*cells[: len(header)], *_without_empty_end(cells[len(header) :])]
        if len(cells) != len(header):
            bad.add(
                line,
                f"{len(cells)} cells where the header has {len(header)}. "
                f"{_cure(cells, header, delimiter)}",
            )
            continue
        values = dict(zip(header, cells, strict=True))
        rows.append(Row(line, {name: values[name] for name in wanted}))
    return rows


def _wanted_columns(
    path: Path, header: list[str], required: tuple[str, ...], optional: tuple[str, ...]
) -> list[str]:
    missing = [name for name in required if name not in header]
    if missing:
        raise TableError(
            f"{path}: the column {missing[0]!r} is missing. The first line must name "
            f"{', '.join(required)}; it names {', '.join(header) or 'none'}."
        )
    wanted = [name for name in dict.fromkeys((*required, *optional)) if name in header]
    twice = [name for name in wanted if header.count(name) > 1]
    if twice:
        raise TableError(
            f"{path}: the column {twice[0]!r} stands twice in the first line. Rename one."
        )
    return wanted


def _without_empty_end(cells: list[str]) -> list[str]:
    """The cells without the empty ones that Excel leaves at the end of a line."""
    last = max((place for place, cell in enumerate(cells, start=1) if cell), default=0)
    return cells[:last]


def _cure(cells: list[str], header: list[str], delimiter: str) -> str:
    if len(cells) > len(header):
        name = {COMMA: "a comma", ";": "a semicolon", "\t": "a tab"}.get(delimiter, repr(delimiter))
        return f"Put a cell that holds {name} or a line break into double quotes."
    for other, name in NAMES.items():
        if len(cells) == 1 and other != delimiter and other in cells[0]:
            return f"Its cells may be separated by {name}: separate them as those of the header."
    return "Put a cell that holds a line break into double quotes, and fill in the missing cells."
