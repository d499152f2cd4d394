"""Locks that keep categories from being deleted while something is written that refers to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import connections

from marketplace_ai.db.alias import alias
from marketplace_ai.db.error_kind import SetupError
from marketplace_ai.models import get_category_model

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.backends.utils import CursorWrapper


def lock_categories(keys: Iterable[Any]) -> dict[Any, Any]:
    """Lock categories FOR KEY SHARE until the transaction ends; those that exist, by primary key.

    Every write takes these locks first and in the order of their keys, so that the deletion of a
    category and a write wait for each other instead of ending in a deadlock.

    Raises SetupError where row level security hides some of them, which then look deleted.
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
        if len(existing) < len(set(wanted)):
            _refuse_hidden(cursor, table)
    return dict(model._base_manager.using(alias()).in_bulk(existing))


def _refuse_hidden(cursor: CursorWrapper, table: str) -> None:
    """Raise SetupError where a policy may keep rows of the table from this session."""
    cursor.execute("SELECT row_security_active(%s::regclass), quote_ident(current_user)", [table])
    is_active, role = cursor.fetchone()
    if is_active:
        raise SetupError(
            f"Row level security hides categories from the role {role}.",
            f"CREATE POLICY ... ON {table} TO {role} USING (true) WITH CHECK (true), or "
            f"ALTER ROLE {role} BYPASSRLS.",
        )
