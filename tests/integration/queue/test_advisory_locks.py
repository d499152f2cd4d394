"""Two projects in one database, each in a schema of its own, do not wait for each other."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection, connections

from marketplace_ai.db import advisory_locks

pytestmark = pytest.mark.django_db(transaction=True)

OTHER_PROJECT = "CREATE SCHEMA other; CREATE TABLE other.marketplace_ai_encoder (id bigint)"


def try_both() -> Any:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT pg_try_advisory_xact_lock(%s, {advisory_locks.OBJECT}), "
            f"pg_try_advisory_xact_lock(%s, {advisory_locks.OBJECT})",
            [advisory_locks.DESCRIPTION_SYNC, 0, advisory_locks.ENCODER_STATE, 1],
        )
        return cursor.fetchone()


def test_locks_of_another_schema_are_others() -> None:
    with connection.cursor() as cursor:
        cursor.execute(OTHER_PROJECT)
    other = connections.create_connection("default")
    try:
        other.set_autocommit(False)
        with other.cursor() as theirs:
            for path, is_free in (("other", True), ("public", False)):
                theirs.execute("SELECT set_config('search_path', %s, false)", [path])
                advisory_locks.lock(theirs, advisory_locks.DESCRIPTION_SYNC)
                advisory_locks.lock(theirs, advisory_locks.ENCODER_STATE, 1)
                assert try_both() == (is_free, is_free)
    finally:
        other.rollback()
        other.close()
        with connection.cursor() as cursor:
            cursor.execute("DROP SCHEMA other CASCADE")
