"""What a cell with a family says: rows that name the same one are of one origin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from marketplace_ai.text.category_cells import says_nothing
from marketplace_ai.text.csv_files import Row
from marketplace_ai.text.normalize import normalize
from marketplace_ai.text.reading_notes import tell
from marketplace_ai.text.table_error import TableError

#: The column's name, in every file of labeled texts.
FAMILY = "family"
#: Characters of a family's name; a longer cell is a text that stands in the wrong column.
LONGEST_FAMILY = 200


def family_cells(path: str, rows: Sequence[Row]) -> list[str]:
    """The family that each row names; "" where it names none. Empty where no row names one.

    Names of several files are compared with each other as they are written; white space alone
    makes no difference. Tells of placeholders (``n/a``, ``null``), which name none. Raises
    TableError with the line of the first name that is longer than ``LONGEST_FAMILY``.
    """
    names = [" ".join(normalize(row.values.get(FAMILY, "")).split()) for row in rows]
    for row, name in zip(rows, names, strict=True):
        if len(name) > LONGEST_FAMILY:
            raise TableError(
                f"{path}, line {row.line}: the family has {len(name):,} characters, where it may "
                f"have {LONGEST_FAMILY}. It is a short name that texts of one origin share, as a "
                "customer's number."
            )
    if placeholders := Counter(name for name in names if name and says_nothing(name)):
        counted = ", ".join(f"{count:,} times {name!r}" for name, count in placeholders.items())
        tell(f"{path}: {counted} in the column family, read as unknown.")
    names = ["" if says_nothing(name) else name for name in names]
    return names if any(names) else []
