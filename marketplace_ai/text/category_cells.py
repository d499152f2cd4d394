"""What a cell with a category says: a category, that none fits, or nothing at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from marketplace_ai.text.csv_files import Row
from marketplace_ai.text.reading_notes import tell
from marketplace_ai.text.table_error import TableError

#: The category of a text that fits no category, in files.
NONE = "none"
#: Separates several labels of one row.
LABEL_SEPARATOR = "|"
#: What spreadsheets, databases, pandas and people write where there is no value. Words that may
#: be a category of somebody's, as "unknown" and "other", are not among them.
_PLACEHOLDERS = frozenset(
    {
        "", "-", "--", "---", "\u2013", "\u2014", "?", ".", "_", "/", "n/a", "#n/a", "#i/t", "na",
        "n.a.", "i/t", "nan", "null", "(null)", "<null>", "nil", "nul", "undefined", "<na>", "\\n",
        "(blank)", "(tom)", "(empty)", "ingen", "ingen kategori", "no category", "ukategorisert",
        "uncategorized", "uncategorised",
    }
)  # fmt: skip


def says_nothing(cell: str) -> bool:
    """Whether a cell is empty, or holds what is written where there is no value."""
    return cell.strip().casefold() in _PLACEHOLDERS


def is_none(cell: str) -> bool:
    """Whether a cell says that no category fits, in capitals or not."""
    return cell.strip().casefold() == NONE


def category_cells(
    path: str, rows: Sequence[Row], known: Collection[str] = ()
) -> list[tuple[str, ...]]:
    """The categories that each row names, in order, none twice; ``(NONE,)`` for one that fits none.

    ``known`` are keys of categories, whatever they look like. Tells of ``none`` in capitals.
    Raises TableError with the line of the first row without a label, and how many there are.
    """
    parts = [
        (row["category"],)
        if row["category"] in known
        else tuple(dict.fromkeys(part.strip() for part in row["category"].split(LABEL_SEPARATOR)))
        for row in rows
    ]
    nameless = [
        number
        for number, named in enumerate(parts)
        if any(says_nothing(part) and part not in known for part in named)
    ]
    if nameless:
        raise TableError(_nameless(path, rows, nameless))
    _tell_capitals(path, (part for named in parts for part in named if part not in known))
    found = [
        tuple(dict.fromkeys(NONE if is_none(part) else part for part in named)) for named in parts
    ]
    for row, named in zip(rows, found, strict=True):
        if NONE in named and len(named) > 1:
            raise TableError(
                f"{path}, line {row.line}: 'none' stands beside a category; a text fits none or "
                "it fits some. Keep one of the two."
            )
    return found


def single_categories(
    path: str, rows: Sequence[Row], known: Collection[str] = ()
) -> list[str | None]:
    """As ``category_cells``, where a row has one category; None for one that fits none."""
    found: list[str | None] = []
    for row, named in zip(rows, category_cells(path, rows, known), strict=True):
        if len(named) > 1:
            raise TableError(
                f"{path}, line {row.line}: {len(named)} categories ({row['category']!r}), where a "
                "row has one. Keep one of them."
            )
        found.append(None if named[0] == NONE else named[0])
    return found


def parent_cell(cell: str, known: Collection[str] = ()) -> str | None:
    """The parent that a cell names; None where it says that there is none."""
    return None if cell not in known and (says_nothing(cell) or is_none(cell)) else cell


def tell_parents(path: str, cells: Iterable[str], known: Collection[str] = ()) -> None:
    """Tell of placeholders that were read as no parent."""
    read = Counter(cell for cell in cells if cell and parent_cell(cell, known) is None)
    if read:
        tell(f"{path}: {_counted(read)} in the column parent, read as no parent.")


def _nameless(path: str, rows: Sequence[Row], numbers: Sequence[int]) -> str:
    first = rows[numbers[0]]
    cell = first["category"]
    problem = f"{cell!r}, which names none" if cell else "empty"
    if LABEL_SEPARATOR in cell:
        problem = f"empty or has an empty part ({cell!r})"
    more = f" (so in {len(numbers):,} of {len(rows):,} rows)" if len(numbers) > 1 else ""
    return (
        f"{path}, line {first.line}: the category is {problem}{more}; write 'none' for a text that "
        "fits no category, and leave out a text without a label."
    )


def _tell_capitals(path: str, parts: Iterable[str]) -> None:
    read = Counter(part for part in parts if part != NONE and is_none(part))
    if read:
        tell(f"{path}: {_counted(read)} in the column category, read as 'none': fits no category.")


def _counted(read: Counter[str]) -> str:
    return ", ".join(f"{count:,} times {cell!r}" for cell, count in read.most_common())
