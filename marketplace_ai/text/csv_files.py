"""CSV files that people made: read whole and checked before anything is written."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

#: Python's own limit, 128 KiB for a cell, is less than a long description may have.
LARGEST_CELL = 16 * 1024 * 1024


class TableError(ValueError):
    """A file that cannot be used: which file, which line, what is wrong, what would be right."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row; ``line`` is where it ends in the file, as editors count."""

    line: int
    values: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return self.values[column]


def read_csv(
    path: str | Path, required: tuple[str, ...], optional: tuple[str, ...] = ()
) -> list[Row]:
    """All rows of a UTF-8 CSV file with a header line; cells are stripped, empty lines skipped.

    Raises TableError for a file that is missing, not UTF-8, holds NUL, lacks a column, or has
    a row with more or fewer cells than the header, or names a column twice.
    """
    path = Path(path)
    text = read_text(path)
    csv.field_size_limit(LARGEST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[Row] = []
    try:
        header = [name.strip() for name in next(reader, [])]
        missing = [name for name in required if name not in header]
        if missing:
            if len(header) == 1 and ";" in header[0]:
                raise TableError(
                    f"{path}: its cells are separated by semicolons. Save it with commas."
                )
            raise TableError(
                f"{path}: the column {missing[0]!r} is missing. The first line must name the "
                f"columns {', '.join(required)}; it names {', '.join(header) or 'none'}."
            )
        twice = [name for name in (*required, *optional) if header.count(name) > 1]
        if twice:
            raise TableError(
                f"{path}: the column {twice[0]!r} stands twice in the first line. Rename one."
            )
        wanted = [name for name in (*required, *optional) if name in header]
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                raise TableError(
                    f"{path}, line {reader.line_num}: {len(cells)} cells where the header has "
                    f"{len(header)}. Put a cell that holds a comma or a line break into "
                    "double quotes."
                )
            values = dict(zip(header, cells, strict=True))
            rows.append(Row(reader.line_num, {name: values[name].strip() for name in wanted}))
    except csv.Error as error:
        raise TableError(f"{path}, line {reader.line_num}: not valid CSV: {error}.") from None
    return rows


def read_text(path: Path) -> str:
    """A UTF-8 file, without a byte order mark; TableError as ``read_csv`` raises it."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TableError(f"{path}: {error.strerror}.") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise TableError(
            f"{path}, line {line}: not UTF-8 (byte 0x{data[error.start]:02x}). "
            "Save the file as UTF-8; it may be in Latin-1 or Windows-1252."
        ) from None
    if "\x00" in text:
        line = text[: text.index("\x00")].count("\n") + 1
        raise TableError(f"{path}, line {line}: a NUL character. Remove it.")
    return text
