"""Excel workbooks (.xlsx) as rows of cells."""

from __future__ import annotations

import datetime
import io
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from marketplace_ai.text.bad_rows import BadRows
from marketplace_ai.text.table_error import TableError

SIGNATURE = b"PK\x03\x04"
#: A workbook of a few kilobytes may unpack to more than any memory holds.
LARGEST_UNPACKED = 512 * 1024 * 1024
_AS_CSV = "save the sheet as CSV UTF-8"

#: The number of a row in its sheet, and its cells.
NumberedRow = tuple[int, list[str]]
#: The same, and what is wrong with its cells; "" for nothing.
_CheckedRow = tuple[int, list[str], str]


def read_workbook(
    path: Path, data: bytes, required: Sequence[str], bad: BadRows
) -> tuple[str, list[NumberedRow]]:
    """The name of the sheet whose first row has the required columns, and its rows.

    Cells are as people see them: whole numbers without a decimal point, dates in ISO format.
    A row with a formula that was never calculated or ends in an error is noted in ``bad``. Raises
    TableError for a file that is no workbook, a package that is missing, and several such sheets.
    """
    _check_archive(path, data)
    try:
        from openpyxl import load_workbook
    except ImportError:
        raise TableError(
            f'{path}: is an Excel workbook. Run pip install "marketplace-ai[xlsx]" to have it '
            f"read, or {_AS_CSV}."
        ) from None
    try:
        values = load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        formulas = load_workbook(io.BytesIO(data), read_only=True)
        sheets = {
            sheet.title: list(_rows(sheet, formulas[sheet.title])) for sheet in values.worksheets
        }
    except TableError:
        raise
    except Exception as error:  # noqa: BLE001 (a damaged workbook raises whatever it breaks)
        raise TableError(
            f"{path}: the workbook is damaged ({type(error).__name__}). Save it again in Excel, or "
            f"{_AS_CSV}."
        ) from None
    filled = {name: rows for name, rows in sheets.items() if rows}
    fitting = {name: rows for name, rows in filled.items() if set(required) <= set(rows[0][1])}
    if len(fitting) > 1:
        raise TableError(
            f"{path}: the sheets {', '.join(map(repr, fitting))} all have the columns "
            f"{', '.join(required)}. Keep one of them in the workbook."
        )
    title, rows = next(iter((fitting or filled or {"": []}).items()))
    if rows and rows[0][2]:
        raise TableError(f"{path}, line {rows[0][0]}: {rows[0][2]}")
    for number, _, problem in rows:
        if problem:
            bad.add(number, problem)
    return title, [(number, row) for number, row, problem in rows if not problem]


def _check_archive(path: Path, data: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = set(archive.namelist())
            unpacked = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        raise TableError(
            f"{path}: the workbook or archive is cut off or damaged. Save it again."
        ) from None
    if "xl/workbook.xml" not in names:
        raise TableError(
            f"{path}: is an archive, but no Excel workbook (.xlsx). A table of LibreOffice or "
            "Numbers: export it as CSV UTF-8 or .xlsx. A packed file: unpack it."
        )
    if unpacked > LARGEST_UNPACKED:
        raise TableError(f"{path}: the workbook unpacks to {unpacked:,} bytes. Split it.")


def _rows(sheet: Any, formulas: Any) -> Iterator[_CheckedRow]:
    """The rows of a sheet that have a cell with something in it; the first is the header."""
    for one in (sheet, formulas):
        one.reset_dimensions()  # some programs write wrong ones
    for number, (cells, written) in enumerate(zip(sheet.rows, formulas.rows, strict=True), start=1):
        problem = ""
        for cell, source in zip(cells, written, strict=True):
            where = f"the cell {cell.coordinate} of {sheet.title!r}"
            if source.data_type == "f" and cell.value is None:
                problem = problem or (
                    f"{where} has a formula that was never calculated. Open the workbook in Excel "
                    "and save it."
                )
            elif cell.data_type == "e":
                problem = problem or f"{where} shows {cell.value}. Correct it."
        row = [_as_text(cell.value) for cell in cells]
        if any(row) or problem:
            yield number, row, problem


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
    return str(value).strip()
