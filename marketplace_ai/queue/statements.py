"""SQL statements sent as one pipeline: one round trip for all of them."""

from __future__ import annotations

from typing import Any

from django.db import connections

from marketplace_ai.db import vectors
from marketplace_ai.db.alias import alias

from . import sql

#: An SQL template (see ``sql.statement``) with its values.
Statement = tuple[str, dict[str, Any]]


def execute_pipelined(statements: list[Statement]) -> None:
    """Run the statements in order, in one round trip, inside a transaction.

    Raises the error of the first one that fails, which aborts the transaction.
    """
    if not statements:
        return
    with vectors.cursor(connections[alias()]) as cursor, cursor.connection.pipeline():
        for template, values in statements:
            cursor.execute(sql.statement(template), values)
