"""Which category is under which, as files say: from a catalog, or from labeled rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from marketplace_ai.text.bad_rows import BadRows
from marketplace_ai.text.catalog_rows import catalog_rows
from marketplace_ai.text.category_cells import (
    LABEL_SEPARATOR,
    NONE,
    parent_cell,
    tell_parents,
)
from marketplace_ai.text.circles import Parents, circle_sentence, find_circle
from marketplace_ai.text.csv_files import Row, read_csv
from marketplace_ai.text.table_error import TableError

if TYPE_CHECKING:
    from marketplace_ai.text.labeled_csv import LabeledRows


def read_catalog(path: str, *, skip_bad: bool = False) -> dict[str, str | None]:
    """Each category's parent (None: at the top), from CSV ``slug,parent``."""
    bad = BadRows(path, skip_bad)
    rows = read_csv(path, ("slug", "parent"), bad=bad)
    checked = catalog_rows(bad, rows)
    bad.check()
    if not rows:
        raise TableError(f"{path}: there is no row below the header.")
    return {slug: row["parent"] or None for slug, row in checked.items()}


def check_categories(
    bad: BadRows,
    rows: Sequence[tuple[Row, tuple[str, ...]]],
    known: Collection[str],
    catalog_path: str,
) -> None:
    """Note the rows with a category that the catalog does not have."""
    for row, labels in rows:
        for label in labels:
            if label != NONE and label not in known:
                bad.add(
                    row.line,
                    f"the category {label!r} is not in {catalog_path}. Correct the row, or add "
                    "the category there.",
                )


def parent_column(
    bad: BadRows,
    rows: Sequence[tuple[Row, tuple[str, ...]]],
    before: Sequence[LabeledRows] = (),
) -> Parents:
    """What the column ``parent`` says of each category; rows that contradict it are noted, or
    contradict the files that were read ``before``."""
    said: dict[str, tuple[str | None, str]] = {}
    for earlier in before:
        for label, parent in earlier.parents.items():
            said.setdefault(label, (parent, f"{earlier.path} (or give --catalog)"))
    parents: dict[str, str | None] = {}
    lines: dict[str, list[int]] = {}
    labeled = [(row, labels) for row, labels in rows if labels != (NONE,)]
    known = {label for _, labels in labeled for label in labels}
    tell_parents(bad.source, (row["parent"] for row, _ in rows), known)
    for row, labels in labeled:
        cells = [parent_cell(part.strip(), known) for part in row["parent"].split(LABEL_SEPARATOR)]
        if len(cells) == 1:  # one parent for all answers of the row
            cells *= len(labels)
        if len(cells) != len(labels):
            bad.add(
                row.line,
                f"{len(labels)} categories and {len(cells)} parents. Name one parent for all, or "
                "one for each.",
            )
            continue
        here = dict(zip(labels, cells, strict=True))
        if problem := _contradiction(here, said):
            bad.add(row.line, problem)
            continue
        parents.update(here)
        for label, parent in here.items():
            said.setdefault(label, (parent, f"line {row.line}"))
            lines.setdefault(label, []).append(row.line)
    while circle := find_circle(parents):
        for line in lines[circle[0]]:
            bad.add(line, circle_sentence(circle))
        del parents[circle[0]]
    return parents


def _contradiction(
    here: Mapping[str, str | None], said: Mapping[str, tuple[str | None, str]]
) -> str:
    """What is wrong with the parents that a row names; "" for nothing."""
    for label, parent in here.items():
        other, where = said.get(label, (parent, ""))
        if other != parent:
            return (
                f"the category {label!r} is under {parent!r} here and under {other!r} in {where}. "
                "Correct one."
            )
    return ""


def merge_parents(*files: LabeledRows) -> dict[str, str | None]:
    """What the parent columns of files say together that were read one after another (``before``).

    TableError where the parents of all go in a circle.
    """
    joined: dict[str, str | None] = {}
    said_by: dict[str, str] = {}
    for rows in files:
        for label, parent in rows.parents.items():
            joined.setdefault(label, parent)
            said_by.setdefault(label, rows.path)
    if circle := find_circle(joined):
        paths = " and ".join(dict.fromkeys(said_by[label] for label in circle))
        raise TableError(f"{paths}: {circle_sentence(circle)}")
    return joined
