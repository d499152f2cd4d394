"""The rows of a catalog: each category once, under a parent that there is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from marketplace_ai.text.bad_rows import BadRows
from marketplace_ai.text.category_cells import is_none, parent_cell, says_nothing, tell_parents
from marketplace_ai.text.circles import circle_sentence, find_circle
from marketplace_ai.text.csv_files import Row
from marketplace_ai.text.table_error import TableError


def catalog_rows(
    bad: BadRows, rows: Sequence[Row], existing: Mapping[str, str] | None = None
) -> dict[str, Row]:
    """The good rows by slug, with "" as the parent of those at the top.

    Parameters:
        bad: what is wrong with the others is noted there. Where bad rows are skipped, the rows
            below a category that only a skipped row would make are bad as well.
        existing: the categories that exist without the file, and the parent of each ("": none).
    """
    existing = existing or {}
    by_slug: dict[str, Row] = {}
    for row in rows:
        slug = row["slug"]
        if slug not in existing and (problem := _slug_problem(slug)):
            bad.add(row.line, problem)
        elif slug in by_slug:
            bad.add(
                row.line,
                f"the slug {slug!r} stands in line {by_slug[slug].line} already. Keep one.",
            )
        else:
            by_slug[slug] = row
    known = {*by_slug, *existing}
    tell_parents(bad.source, (row["parent"] for row in rows), known)
    for slug, row in by_slug.items():
        parent = parent_cell(row["parent"], known) or ""
        by_slug[slug] = Row(row.line, {**row.values, "parent": parent})
        if parent and parent not in known:
            bad.add(
                row.line,
                f"the parent {parent!r} has no row of its own and is no category yet. Add one, or "
                "correct the name.",
            )
    _note_circles(bad, by_slug, existing)
    if bad.skip:
        _note_rows_below(bad, by_slug, existing)
    return {slug: row for slug, row in by_slug.items() if row.line not in bad}


def _slug_problem(slug: str) -> str:
    if is_none(slug):
        return f"the slug {slug!r} is kept for texts that fit no category. Name the category."
    if says_nothing(slug):
        said = repr(slug) if slug else "empty"
        return f"the slug is {said}, which names no category. Name it."
    return ""


def _note_circles(bad: BadRows, by_slug: dict[str, Row], existing: Mapping[str, str]) -> None:
    """One row of each circle, so that without it there is none."""
    parents: dict[str, str | None] = {slug: above or None for slug, above in existing.items()}
    parents.update((slug, row["parent"] or None) for slug, row in by_slug.items())
    while circle := find_circle(parents, by_slug):
        # From a row of the file on: the categories that it leads to may exist already.
        turn = next((place for place, slug in enumerate(circle) if slug in by_slug), None)
        if turn is None:
            raise TableError(f"{bad.source}: {circle_sentence(circle)}")
        row = by_slug[circle[turn]]
        bad.add(row.line, circle_sentence((*circle[turn:], *circle[:turn])))
        parents[circle[turn]] = None


def _note_rows_below(bad: BadRows, by_slug: dict[str, Row], existing: Mapping[str, str]) -> None:
    """The rows below a category that only a bad row would make."""
    missing = {slug for slug, row in by_slug.items() if row.line in bad} - existing.keys()
    while below := [
        row for row in by_slug.values() if row["parent"] in missing and row.line not in bad
    ]:
        for row in below:
            bad.add(row.line, f"the row of its parent {row['parent']!r} is skipped.")
        missing = {row["slug"] for row in below} - existing.keys()
