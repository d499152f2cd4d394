"""The schema that this app's tables are in. A project may rename it, or move them to another."""

from __future__ import annotations

from typing import Any

# Before the tables are made, the one they will be made in.
OWN_SCHEMA = """
SELECT coalesce(
    (SELECT relnamespace::regnamespace::text FROM pg_class
     WHERE oid = to_regclass('marketplace_ai_postingchange')),
    quote_ident(current_schema()))
"""


def own_schema(connection: Any) -> str:
    """Its name in this database, quoted where that is needed."""
    with connection.cursor() as cursor:
        cursor.execute(OWN_SCHEMA)
        return str(cursor.fetchone()[0])
