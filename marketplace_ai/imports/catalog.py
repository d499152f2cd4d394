"""Import of categories from CSV: all rows, or none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import transaction

from marketplace_ai.adapter import get_adapter
from marketplace_ai.db.alias import alias
from marketplace_ai.imports.common import categories_by_key, errors_name_row
from marketplace_ai.models import get_category_model
from marketplace_ai.taxonomy.follow_keys import follow_keys, lock_taxonomy
from marketplace_ai.text.category_cells import parent_cell, tell_parents
from marketplace_ai.text.csv_files import Row, TableError, read_csv
from marketplace_ai.text.parents import check_slug, circle_sentence, find_circle


@dataclass(frozen=True, slots=True)
class CatalogCounts:
    """What an import did.

    Attributes:
        loaded: categories created or updated.
        restored: exemplars that vote again, because their category was deleted and exists again.
    """

    loaded: int
    restored: int


def import_catalog(path: str, *, dry_run: bool = False) -> CatalogCounts:
    """Create or update categories from a CSV file. One that was deleted gets its exemplars back.

    Parameters:
        path: a file with the columns slug, parent, name_nb and, optionally, name_en and
            scope_nb. Rows may come in any order; a parent may also be an existing category.
        dry_run: check everything, write nothing.

    Raises ``TableError`` with the line of the first wrong row; then nothing was written.

    Example::

        import_catalog("demo/data/home_services.csv")
    """
    rows = read_csv(path, ("slug", "parent", "name_nb"), ("name_en", "scope_nb"))
    existing = categories_by_key()
    rows_by_slug = _check(path, rows, existing)
    ordered = _parents_first(path, rows_by_slug, _parent_keys(existing))
    adapter = get_adapter()
    categories = dict(existing)
    with transaction.atomic(using=alias()):
        lock_taxonomy()
        for row in ordered:
            parent = categories.get(row["parent"]) if row["parent"] else None
            with errors_name_row(path, row):
                category = adapter.create_category(row["slug"], parent, row.values)
            categories[row["slug"]] = category
        followed = follow_keys()
        # A dry run writes too and rolls back, so that the models and the database check the rows.
        transaction.set_rollback(dry_run, using=alias())
    return CatalogCounts(len(rows), len(followed.restored))


def _check(path: str, rows: list[Row], existing: dict[str, Any]) -> dict[str, Row]:
    """The rows by slug; TableError for an empty, reserved or repeated slug or unknown parent."""
    by_slug: dict[str, Row] = {}
    for row in rows:
        if not row["slug"] or not row["name_nb"]:
            raise TableError(f"{path}, line {row.line}: slug and name_nb must not be empty.")
        if row["slug"] not in existing:
            check_slug(path, row)
        if row["slug"] in by_slug:
            raise TableError(
                f"{path}, line {row.line}: the slug {row['slug']!r} stands in line "
                f"{by_slug[row['slug']].line} already."
            )
        by_slug[row["slug"]] = row
    known = {*by_slug, *existing}
    tell_parents(path, (row["parent"] for row in rows), known)
    for row in rows:
        parent = parent_cell(row["parent"], known) or ""
        if parent and parent not in known:
            raise TableError(
                f"{path}, line {row.line}: the parent {parent!r} is neither in the file "
                "nor in the catalog."
            )
        by_slug[row["slug"]] = Row(row.line, {**row.values, "parent": parent})
    return by_slug


def _parents_first(path: str, rows: dict[str, Row], existing: dict[str, str]) -> list[Row]:
    """Sort the rows so that each parent comes before its children.

    ``existing`` maps the keys of existing categories to those of their parents: a row that
    moves a category below one of them may close a circle. TableError names such a row.
    """
    parents = {**existing, **{slug: row["parent"] for slug, row in rows.items()}}
    circle = find_circle({slug: parent or None for slug, parent in parents.items()}, rows)
    if circle:
        # From a row of the file on: the categories that it leads to may exist already.
        turn = next((place for place, slug in enumerate(circle) if slug in rows), 0)
        where = f", line {rows[circle[turn]].line}" if circle[turn] in rows else ""
        raise TableError(f"{path}{where}: {circle_sentence((*circle[turn:], *circle[:turn]))}")
    ordered: dict[str, Row] = {}
    for start in rows:
        chain: list[str] = []
        slug = start
        while slug in rows and slug not in ordered:
            chain.append(slug)
            slug = parents[slug]
        ordered.update((slug, rows[slug]) for slug in reversed(chain))
    return list(ordered.values())


def _parent_keys(categories: dict[str, Any]) -> dict[str, str]:
    """The key of each category's parent, "" for none, by the category's key."""
    adapter = get_adapter()
    if adapter.category_parent_field is None:
        return {}
    parents = dict(
        get_category_model()._base_manager.values_list("pk", adapter.category_parent_field)
    )
    keys = {category.pk: key for key, category in categories.items()}
    return {key: keys.get(parents.get(category.pk), "") for key, category in categories.items()}
