"""What deleted postings and categories leave behind where their foreign keys did not see them go.

A key acts by triggers. None fires while ``session_replication_role`` is ``replica`` (a subscriber
of logical replication applies the DELETE, a tool loads data) or while they are disabled. So the
reconcile run, which finds what our own triggers missed, also does what the keys would have done.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from django.db import connections

from marketplace_ai.adapter import posting_model_and_pk
from marketplace_ai.db.alias import alias
from marketplace_ai.models import get_category_model
from marketplace_ai.queue import row_security

from . import foreign_keys, rights

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .foreign_keys import ForeignKey

logger = logging.getLogger(__name__)


def remove(low: Any, high: Any) -> int:
    """Treat the rows whose posting, with a key above ``low`` and up to ``high``, is gone, or whose
    category is, as their foreign keys say; how many there were.

    None stands for no bound. At the end of all keys (``high`` None) the other rows that a deleted
    category left behind are treated too. Nothing is done where row level security may hide rows:
    hidden is not gone.
    """
    if row_security.is_active() or rights.hidden_tables():
        return 0
    total = 0
    with connections[alias()].cursor() as cursor:
        for key, condition, values in _work(low, high):
            total += foreign_keys.treat_orphans(cursor, key, condition=condition, values=values)
    if total:
        logger.warning("Removed what deleted postings or categories left behind: %d rows", total)
    return total


def _work(low: Any, high: Any) -> Iterator[tuple[ForeignKey, str, list[Any]]]:
    """Each key to a posting or a category, with a condition on its rows and the values of that."""
    posting, category = posting_model_and_pk()[0], get_category_model()
    for key in foreign_keys.FOREIGN_KEYS:
        field = key.field
        if field.remote_field.model is posting:
            yield key, *_between(field.column, low, high)
        elif field.remote_field.model is category:
            if key.model == "Decision":  # one or more a posting, the others are few
                yield key, *_between(field.model._meta.get_field("posting").column, low, high)
            elif high is None:
                yield key, "true", []


def _between(column: str, low: Any, high: Any) -> tuple[str, list[Any]]:
    column = connections[alias()].ops.quote_name(column)
    bounds = [(f"own.{column} > %s", low), (f"own.{column} <= %s", high)]
    given = [(sql, value) for sql, value in bounds if value is not None]
    return " AND ".join(sql for sql, _ in given) or "true", [value for _, value in given]
