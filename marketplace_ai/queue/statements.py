"""Statements that are sent together: their results are awaited once, not one by one."""

from __future__ import annotations

from typing import Any

from django.db import connections

from marketplace_ai.db import vectors
from marketplace_ai.db.alias import alias

from . import sql

#: A statement's template with its values.
Step = tuple[str, dict[str, Any]]


def send(steps: list[Step]) -> None:
    """Run the statements in their order, in one round trip; what the first that fails raises.

    Inside a transaction, which a failure breaks off.
    """
    if not steps:
        return
    with vectors.cursor(connections[alias()]) as cursor, cursor.connection.pipeline():
        for template, values in steps:
            cursor.execute(sql.statement(template), values)
