"""Which character separates the cells of a CSV file: the one between the columns' names."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

from marketplace_ai.text.table_error import TableError

COMMA = ","
#: What is recognized, and what it is called.
NAMES = {COMMA: "commas", ";": "semicolons", "\t": "tabs"}
_DECLARED = re.compile(r'"?sep=([^\w\s"]|\t)"?(\r\n|\r|\n|$)', re.IGNORECASE)


def declared_delimiter(text: str) -> tuple[str | None, str]:
    """The character that a first line ``sep=;`` declares (None: no such line), and the rest."""
    if (line := _DECLARED.match(text)) is None:
        return None, text
    return line[1], text[line.end() :]


def find_delimiter(path: Path, text: str, required: Sequence[str]) -> str:
    """The character that stands between the columns' names in the first line.

    A comma where there is no other evidence. Raises TableError for a first line that has the
    required names, but mixes separators or uses one that is not taken.
    """
    headers = {delimiter: _header(text, delimiter) for delimiter in NAMES}
    found = {
        delimiter: sum(name in header for name in required)
        for delimiter, header in headers.items()
        if header
    }
    if not found:
        return COMMA
    best = max(found, key=lambda delimiter: (found[delimiter], len(headers[delimiter])))
    missing = [name for name in required if name not in headers[best]]
    if not missing:
        return best
    line = next((line for line in text.splitlines() if line.strip()), "")
    mixed = [delimiter for delimiter in NAMES if delimiter in line]
    names = [name.strip(' "') for name in re.split(r"[,;\t|]", line)]
    if any(name not in names for name in missing):
        return best
    if len(headers[best]) == 1 and line.strip().startswith('"'):
        raise TableError(
            f"{path}: each line stands in quotes, as one cell. A program with another separator "
            "saved it so: export the file anew."
        )
    if mixed and "|" not in line:
        raise TableError(
            f"{path}: the first line mixes {' and '.join(NAMES[d] for d in mixed)}, so the column "
            f"{missing[0]!r} is not found. Separate all columns in one way, and put a name with "
            "another separator into double quotes."
        )
    raise TableError(
        f"{path}: its cells are separated by '|'. Save it with commas, semicolons or tabs."
    )


def _header(text: str, delimiter: str) -> list[str]:
    """The first line's cells; none where it is not CSV with this delimiter."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        cells = next((cells for cells in reader if any(map(str.strip, cells))), [])
    except csv.Error:
        return []
    return [cell.strip() for cell in cells]
