"""Exemplars that teach and do not vote: marked when a version is fitted without their votes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import psycopg
from django.db import DatabaseError, connections, transaction

from marketplace_ai.db.alias import alias
from marketplace_ai.db.error_kind import describe

if TYPE_CHECKING:
    from collections.abc import Collection

logger = logging.getLogger(__name__)

#: A worker waits no longer for rows that others hold.
LOCK_TIMEOUT = "200ms"

# The first row that is changed locks the exemplars' generation, which others want who hold a row.
LOCK = """
SELECT FROM (
    SELECT id FROM marketplace_ai_exemplar WHERE id = ANY(%(ids)s) OR condensed_by_id IS NOT NULL
    ORDER BY id FOR UPDATE
) AS locked
"""
LOCK_GENERATION = "SELECT value FROM marketplace_ai_exemplargeneration FOR UPDATE"

# What was changed after it was chosen votes: it may have another label.
CONDENSE = """
UPDATE marketplace_ai_exemplar SET condensed_by_id = %(version)s
WHERE id = ANY(%(ids)s) AND condensed_by_id IS NULL AND generation <= %(generation)s
"""

GIVE_BACK = """
UPDATE marketplace_ai_exemplar AS exemplar SET condensed_by_id = NULL
WHERE condensed_by_id IS NOT NULL
  AND NOT EXISTS (SELECT FROM unnest(%(ids)s::bigint[]) AS kept(id) WHERE kept.id = exemplar.id)
"""

# The last vote of a category was deleted, quarantined or given another label.
WITHOUT_VOTES = """
SELECT DISTINCT condensed.category_id, condensed.is_none
FROM marketplace_ai_exemplar AS condensed
WHERE condensed.condensed_by_id IS NOT NULL AND condensed.state = 'active'
EXCEPT
SELECT voting.category_id, voting.is_none
FROM marketplace_ai_exemplar AS voting
WHERE voting.condensed_by_id IS NULL AND voting.state = 'active' AND voting.source <> 'description'
"""

VOTE_AGAIN = """
UPDATE marketplace_ai_exemplar SET condensed_by_id = NULL
WHERE condensed_by_id IS NOT NULL AND is_none = %(is_none)s
  AND category_id IS NOT DISTINCT FROM %(category)s
"""


def set_condensed(ids: Collection[int], version: int, generation: int) -> tuple[int, int]:
    """Let exactly the exemplars ``ids`` be condensed: those that are not yet, by ``version``.

    ``generation``: the exemplars' when they were chosen; what changed since then keeps its vote.
    Returns their generations before and after, which differ by this alone.
    """
    values: dict[str, Any] = {"ids": list(ids), "version": version, "generation": generation}
    with transaction.atomic(using=alias()), connections[alias()].cursor() as cursor:
        cursor.execute(LOCK, values)
        cursor.execute(LOCK_GENERATION)
        before = cursor.fetchone()
        cursor.execute(GIVE_BACK, values)
        cursor.execute(CONDENSE, values)
        cursor.execute(LOCK_GENERATION)
        after = cursor.fetchone()
    return (before or (0,))[0], (after or (0,))[0]


def revive_categories() -> int:
    """Give the condensed exemplars of each category that has lost its last vote their votes again;
    how many. One query if there is nothing to do."""
    revived = 0
    with connections[alias()].cursor() as cursor:
        cursor.execute(WITHOUT_VOTES)
        categories = cursor.fetchall()
    if not categories:
        return 0
    with transaction.atomic(using=alias()), connections[alias()].cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [LOCK_TIMEOUT])
        cursor.execute(LOCK, {"ids": []})
        for category, is_none in categories:
            cursor.execute(VOTE_AGAIN, {"category": category, "is_none": is_none})
            revived += cursor.rowcount
    if revived:
        logger.info("%d condensed exemplars vote again: their categories had no vote left", revived)
    return revived


def revive_safely() -> None:
    """``revive_categories`` for workers, which decide postings whatever it meets."""
    try:
        revive_categories()
    except (DatabaseError, psycopg.Error) as error:
        logger.warning("Condensed exemplars stay without a vote: %s", describe(error))
