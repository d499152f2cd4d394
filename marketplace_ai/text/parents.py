"""Which category is under which, as files say: from a catalog, or from labeled rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from marketplace_ai.text.category_cells import (
    LABEL_SEPARATOR,
    is_none,
    parent_cell,
    says_nothing,
    tell_parents,
)
from marketplace_ai.text.csv_files import Row, read_csv
from marketplace_ai.text.table_error import TableError

if TYPE_CHECKING:
    from marketplace_ai.text.labeled_csv import LabeledRows

Parents = Mapping[str, str | None]


def find_circle(parents: Parents, starts: Iterable[str] | None = None) -> tuple[str, ...]:
    """The categories of a circle, each under the next and the last under the first; else ().

    Only circles are looked for that one of ``starts`` (None: of all) is in or below.

    >>> find_circle({"a": "b", "b": "c", "c": "b"})
    ('b', 'c')
    """
    done: set[str] = set()
    for start in parents if starts is None else starts:
        path: dict[str, None] = {}
        name: str | None = start
        while name is not None and name not in done:
            if name in path:
                circle = list(path)
                return tuple(circle[circle.index(name) :])
            path[name] = None
            name = parents.get(name)
        done.update(path)
    return ()


def circle_sentence(circle: Sequence[str]) -> str:
    """What is wrong with such categories, and the cure."""
    chain = " under ".join(map(repr, (*circle, circle[0])))
    return f"{circle[0]!r} would be its own ancestor. Correct a parent in {chain}."


def read_catalog(path: str) -> dict[str, str | None]:
    """Each category's parent (None: at the top), from CSV ``slug,parent``."""
    parents: dict[str, str | None] = {}
    lines: dict[str, int] = {}
    rows = read_csv(path, ("slug", "parent"))
    if not rows:
        raise TableError(f"{path}: there is no row below the header.")
    for row in rows:
        slug = row["slug"]
        check_slug(path, row)
        if slug in parents:
            raise TableError(
                f"{path}, line {row.line}: the slug {slug!r} stands there twice. Keep one."
            )
        parents[slug] = row["parent"]
        lines[slug] = row.line
    tell_parents(path, (row["parent"] for row in rows), parents.keys())
    for slug, parent in parents.items():
        parents[slug] = parent_cell(parent or "", parents.keys())
        if parents[slug] is not None and parents[slug] not in parents:
            raise TableError(
                f"{path}, line {lines[slug]}: the parent {parent!r} has no row of its own. "
                "Add one, or correct the name."
            )
    if circle := find_circle(parents):
        raise TableError(f"{path}, line {lines[circle[0]]}: {circle_sentence(circle)}")
    return parents


def check_slug(path: str, row: Row) -> None:
    """Raise TableError for a slug that is no name of a category."""
    slug = row["slug"]
    if is_none(slug):
        raise TableError(
            f"{path}, line {row.line}: the slug {slug!r} is kept for texts that fit no category. "
            "Name the category."
        )
    if says_nothing(slug):
        raise TableError(
            f"{path}, line {row.line}: the slug is {repr(slug) if slug else 'empty'}, which names "
            "no category. Name it."
        )


def check_categories(catalog: Parents, rows: LabeledRows, catalog_path: str) -> None:
    """Raise TableError for the first row whose category the catalogue does not have."""
    for line, answers in zip(rows.lines, rows.true_labels, strict=True):
        for label in answers:
            if label not in catalog:
                raise TableError(
                    f"{rows.path}, line {line}: the category {label!r} is not in "
                    f"{catalog_path}. Correct the row, or add the category there."
                )


def parent_column(path: str, kept: list[Row], answers: list[tuple[str, ...]]) -> Parents:
    """What the column ``parent`` says of each category; TableError where it contradicts itself."""
    parents: dict[str, str | None] = {}
    first_line: dict[str, int] = {}
    known = {label for labels in answers for label in labels}
    tell_parents(path, (row["parent"] for row in kept), known)
    for row, labels in zip(kept, answers, strict=True):
        if not labels:
            continue
        cells = [parent_cell(part.strip(), known) for part in row["parent"].split(LABEL_SEPARATOR)]
        if len(cells) == 1:  # one parent for all answers of the row
            cells *= len(labels)
        if len(cells) != len(labels):
            raise TableError(
                f"{path}, line {row.line}: {len(labels)} categories and {len(cells)} parents. "
                "Name one parent for all, or one for each."
            )
        for label, parent in zip(labels, cells, strict=True):
            if parents.setdefault(label, parent) != parent:
                raise TableError(
                    f"{path}, line {row.line}: the category {label!r} is under {parent!r} here "
                    f"and under {parents[label]!r} in line {first_line[label]}. Correct one."
                )
            first_line.setdefault(label, row.line)
    if circle := find_circle(parents):
        raise TableError(f"{path}, line {first_line[circle[0]]}: {circle_sentence(circle)}")
    return parents


def merge_parents(*files: LabeledRows) -> dict[str, str | None]:
    """What the files' parent columns say together; TableError where two of them disagree."""
    joined: dict[str, str | None] = {}
    said_by: dict[str, str] = {}
    for rows in files:
        for label, parent in rows.parents.items():
            if joined.setdefault(label, parent) != parent:
                raise TableError(
                    f"{rows.path}: the category {label!r} is under {parent!r} here and under "
                    f"{joined[label]!r} in {said_by[label]}. Make both agree, or give --catalog."
                )
            said_by.setdefault(label, rows.path)
    if circle := find_circle(joined):
        paths = " and ".join(dict.fromkeys(said_by[label] for label in circle))
        raise TableError(f"{paths}: {circle_sentence(circle)}")
    return joined
