"""What a cell with a category says: a category, that none fits, or nothing at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from marketplace_ai.text.bad_rows import BadRows
from marketplace_ai.text.csv_files import Row
from marketplace_ai.text.reading_notes import tell

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
    bad: BadRows, rows: Sequence[Row], known: Collection[str] = ()
) -> list[tuple[Row, tuple[str, ...]]]:
    """The good rows, each with the categories that it names: in order, none twice, ``(NONE,)`` for
    one that fits none.

    ``known`` are keys of categories, whatever they look like. Rows without a label, and those that
    name ``none`` beside a category, are noted in ``bad``. Tells of ``none`` in capitals.
    """
    found = []
    capitals: Counter[str] = Counter()
    for row in rows:
        parts = _parts(row["category"], known)
        if any(says_nothing(part) and part not in known for part in parts):
            bad.add(row.line, _nameless(row["category"]))
            continue
        capitals.update(part for part in parts if part not in known and _is_capital_none(part))
        named = tuple(dict.fromkeys(NONE if is_none(part) else part for part in parts))
        if NONE in named and len(named) > 1:
            bad.add(
                row.line,
                "'none' stands beside a category; a text fits none or it fits some. Keep one of "
                "the two.",
            )
            continue
        found.append((row, named))
    if capitals:
        tell(
            f"{bad.source}: {_counted(capitals)} in the column category, read as 'none': fits no "
            "category."
        )
    return found


def single_categories(
    bad: BadRows, rows: Sequence[Row], known: Collection[str] = ()
) -> list[tuple[Row, str | None]]:
    """As ``category_cells``, where a row has one category; None for one that fits none."""
    found: list[tuple[Row, str | None]] = []
    for row, named in category_cells(bad, rows, known):
        if len(named) == 1:
            found.append((row, None if named[0] == NONE else named[0]))
        else:
            bad.add(
                row.line,
                f"{len(named)} categories ({row['category']!r}), where a row has one. Keep one of "
                "them.",
            )
    return found


def parent_cell(cell: str, known: Collection[str] = ()) -> str | None:
    """The parent that a cell names; None where it says that there is none."""
    return None if cell not in known and (says_nothing(cell) or is_none(cell)) else cell


def tell_parents(path: str, cells: Iterable[str], known: Collection[str] = ()) -> None:
    """Tell of placeholders that were read as no parent."""
    read = Counter(cell for cell in cells if cell and parent_cell(cell, known) is None)
    if read:
        tell(f"{path}: {_counted(read)} in the column parent, read as no parent.")


def _parts(cell: str, known: Collection[str]) -> tuple[str, ...]:
    if cell in known:
        return (cell,)
    return tuple(dict.fromkeys(part.strip() for part in cell.split(LABEL_SEPARATOR)))


def _nameless(cell: str) -> str:
    problem = f"{cell!r}, which names none" if cell else "empty"
    if LABEL_SEPARATOR in cell:
        problem = f"empty or has an empty part ({cell!r})"
    return (
        f"the category is {problem}; write 'none' for a text that fits no category, and leave out "
        "a text without a label."
    )


def _is_capital_none(part: str) -> bool:
    return part != NONE and is_none(part)


def _counted(read: Counter[str]) -> str:
    return ", ".join(f"{count:,} times {cell!r}" for cell, count in read.most_common())
