"""Import of categories from CSV: all good rows, or none where a row is bad."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import transaction

from marketplace_ai.adapter import get_adapter
from marketplace_ai.db.alias import alias
from marketplace_ai.imports.common import categories_by_key, noting_errors
from marketplace_ai.models import get_category_model
from marketplace_ai.taxonomy.follow_keys import follow_keys, lock_taxonomy
from marketplace_ai.text.bad_rows import BadRows, LeftOut
from marketplace_ai.text.catalog_rows import catalog_rows
from marketplace_ai.text.csv_files import Row, read_csv


@dataclass(frozen=True, slots=True)
class CatalogCounts:
    """What an import did.

    Attributes:
        loaded: categories created or updated.
        restored: exemplars that vote again, because their category was deleted and exists again.
        left_out: the rows that were skipped.
    """

    loaded: int
    restored: int
    left_out: LeftOut


def import_catalog(path: str, *, dry_run: bool = False, skip_bad: bool = False) -> CatalogCounts:
    """Create or update categories from a CSV file. One that was deleted gets its exemplars back.

    Parameters:
        path: a file with the columns slug, parent, name_nb and, optionally, name_en and
            scope_nb. Rows may come in any order; a parent may also be an existing category.
        dry_run: check everything, write nothing.
        skip_bad: skip bad rows, and those below a category that a bad row would make.

    Raises ``TableError`` with the lines of all bad rows; then nothing was written.

    Example::

        import_catalog("demo/data/home_services.csv")
    """
    bad = BadRows(path, skip_bad)
    rows = read_csv(path, ("slug", "parent", "name_nb"), ("name_en", "scope_nb"), bad)
    categories = categories_by_key()
    for row in rows:
        if not row["slug"] or not row["name_nb"]:
            bad.add(row.line, "slug and name_nb must not be empty.")
    parents = _parent_keys(categories)
    rows_by_slug = catalog_rows(bad, rows, parents)
    adapter = get_adapter()
    loaded = 0
    with transaction.atomic(using=alias()):
        lock_taxonomy()
        for row in _parents_first(rows_by_slug):
            above = row["parent"]
            if above and above not in categories:  # its row is bad
                if skip_bad:
                    bad.add(row.line, f"the row of its parent {above!r} is skipped.")
                continue
            with noting_errors(bad, row):
                parent = categories[above] if above else None
                categories[row["slug"]] = adapter.create_category(row["slug"], parent, row.values)
                loaded += 1
        left_out = bad.check()
        followed = follow_keys()
        # A dry run writes too and rolls back, so that the models and the database check the rows.
        transaction.set_rollback(dry_run, using=alias())
    return CatalogCounts(loaded, len(followed.restored), left_out)


def _parents_first(rows: dict[str, Row]) -> list[Row]:
    """Sort the rows so that each parent comes before its children."""
    ordered: dict[str, Row] = {}
    for start in rows:
        chain: list[str] = []
        slug = start
        while slug in rows and slug not in ordered:
            chain.append(slug)
            slug = rows[slug]["parent"]
        ordered.update((slug, rows[slug]) for slug in reversed(chain))
    return list(ordered.values())


def _parent_keys(categories: dict[str, Any]) -> dict[str, str]:
    """The key of each category's parent, "" for none, by the category's key."""
    adapter = get_adapter()
    if adapter.category_parent_field is None:
        return dict.fromkeys(categories, "")
    parents = dict(
        get_category_model()._base_manager.values_list("pk", adapter.category_parent_field)
    )
    keys = {category.pk: key for key, category in categories.items()}
    return {key: keys.get(parents.get(category.pk), "") for key, category in categories.items()}
