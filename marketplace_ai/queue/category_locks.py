"""Locks that keep categories from being deleted while something is written that refers to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import connections

from marketplace_ai.db.alias import alias
from marketplace_ai.models import get_category_model

if TYPE_CHECKING:
    from collections.abc import Iterable


def lock_categories(keys: Iterable[Any]) -> dict[Any, Any]:
    """Lock categories FOR KEY SHARE until the transaction ends; those that exist, by primary key.

    Every write takes these locks first and in the order of their keys, so that the deletion of a
    category and a write wait for each other instead of ending in a deadlock.
    """
    wanted = list(keys)
    if not wanted:
        return {}
    model = get_category_model()
    assert model._meta.pk is not None  # noqa: S101 (every model has one)
    connection = connections[alias()]
    quote = connection.ops.quote_name
    key, table = quote(str(model._meta.pk.column)), quote(model._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {key} FROM {table} WHERE {key} = ANY(%s) ORDER BY {key} FOR KEY SHARE",  # noqa: S608 (names of the model only)
            [wanted],
        )
        existing = [row[0] for row in cursor.fetchall()]
    return dict(model._base_manager.using(alias()).in_bulk(existing))
