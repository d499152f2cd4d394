"""What a column of dates says: when each posting came in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from marketplace_ai.text.bad_rows import BadRows
from marketplace_ai.text.category_cells import says_nothing
from marketplace_ai.text.csv_files import Row
from marketplace_ai.text.date_forms import AmbiguousDateError, Order, numbers_in_front, parse_date
from marketplace_ai.text.reading_notes import tell
from marketplace_ai.text.table_error import TableError

#: The column's name where nobody names another.
DATE = "date"
_CURE = "Write it as 2026-11-29, with or without a time, or leave it empty."


def date_cells(bad: BadRows, rows: Sequence[Row], column: str) -> dict[int, datetime | None]:
    """The date in ``column`` of each row, by line: without a time zone (in UTC where one is
    written), None where the cell says nothing. What is no date is noted in ``bad``.

    Whether 3/4/2026 is in March or in April, the other cells tell: no month is above 12. Where they
    do not, or say both, such a cell is a bad row. Raises TableError where no cell of several is a
    date: then it is the column that is wrong, and not its rows.
    """
    written = {row.line: row[column] for row in rows if not says_nothing(row[column])}
    order = _order(bad.source, column, written.values())
    found: dict[int, datetime | None] = {row.line: None for row in rows}
    wrong: dict[int, str] = {}
    for line, cell in written.items():
        try:
            found[line] = parse_date(cell, order)
        except AmbiguousDateError:
            wrong[line] = f"the {column} {cell!r} may have the day or the month first"
        except ValueError:
            wrong[line] = f"the {column} {cell!r} is no date"
    if len(wrong) == len(written) > 1:
        line, problem = next(iter(wrong.items()))
        raise TableError(
            f"{bad.source}, line {line}: {problem}, and so no cell of the column can be read. "
            "Write dates as 2026-11-29, or rename the column to do without them."
        )
    for line, problem in wrong.items():
        bad.add(line, f"{problem}. {_CURE}")
    return found


def _order(source: str, column: str, cells: Iterable[str]) -> Order | None:
    """What stands first in dates with slashes or hyphens; None where no cell, or each, tells."""
    days: dict[Order, str] = {}
    for cell in cells:
        numbers = numbers_in_front(cell)
        if numbers is not None and max(numbers) > 12:
            days.setdefault("day first" if numbers[0] > 12 else "month first", cell)
    if len(days) != 1:
        return None
    [(order, cell)] = days.items()
    tell(f"{source}: the column {column} is read with the {order}, as {cell!r} tells.")
    return order
