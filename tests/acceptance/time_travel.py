"""Time passes in the database, and nobody waits for it."""

from __future__ import annotations

import datetime as dt

from django.apps import apps
from django.db import connection, models, transaction

# Decisions after a given one, spread evenly over the time that has passed, as their postings came.
SPREAD = """
WITH made AS (
    SELECT id, percent_rank() OVER (ORDER BY posting_id) AS place
    FROM marketplace_ai_decision WHERE id > %(after)s
)
UPDATE marketplace_ai_decision AS decision
SET decided_at = now() - %(passed)s * (1 - made.place)
FROM made WHERE decision.id = made.id
"""


def pass_time(passed: dt.timedelta, *, after: int) -> None:
    """Make everything older by ``passed``, and have the decisions after the one with the key
    ``after`` made all through that time."""
    with transaction.atomic(), connection.cursor() as cursor:
        # No trigger takes this for a change.
        cursor.execute("SET LOCAL session_replication_role = replica")
        for model in apps.get_app_config("marketplace_ai").get_models():
            times = [
                field.column
                for field in model._meta.local_concrete_fields
                if isinstance(field, models.DateTimeField)
            ]
            if times:
                moved = ", ".join(f"{name} = {name} - %(passed)s" for name in times)
                cursor.execute(f"UPDATE {model._meta.db_table} SET {moved}", {"passed": passed})
        cursor.execute(SPREAD, {"passed": passed, "after": after})
