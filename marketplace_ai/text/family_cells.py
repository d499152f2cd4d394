"""What a cell with a family says: rows that name the same one are of one origin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from marketplace_ai.text.bad_rows import BadRows
from marketplace_ai.text.category_cells import says_nothing
from marketplace_ai.text.csv_files import Row
from marketplace_ai.text.normalize import normalize
from marketplace_ai.text.reading_notes import tell

#: The column's name, in every file of labeled texts.
FAMILY = "family"
#: Characters of a family's name; a longer cell is a text that stands in the wrong column.
LONGEST_FAMILY = 200


def family_cells(bad: BadRows, rows: Sequence[Row]) -> dict[int, str]:
    """The family that each row names, by line; "" where it names none.

    Names of several files are compared with each other as they are written; white space alone
    makes no difference. Tells of placeholders (``n/a``, ``null``), which name none. Rows with a
    longer name than ``LONGEST_FAMILY`` are noted in ``bad``.
    """
    names = {row.line: " ".join(normalize(row.values.get(FAMILY, "")).split()) for row in rows}
    for line, name in names.items():
        if len(name) > LONGEST_FAMILY:
            bad.add(
                line,
                f"the family has {len(name):,} characters, where it may have {LONGEST_FAMILY}. It "
                "is a short name that texts of one origin share, as a customer's number.",
            )
    placeholders = Counter(name for name in names.values() if name and says_nothing(name))
    if placeholders:
        counted = ", ".join(f"{count:,} times {name!r}" for name, count in placeholders.items())
        tell(f"{bad.source}: {counted} in the column family, read as unknown.")
    return {line: "" if says_nothing(name) else name for line, name in names.items()}
