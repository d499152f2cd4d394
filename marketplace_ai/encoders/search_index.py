"""The search index of an encoder: an HNSW graph over the vectors of all postings.

Only searches over postings need it (exemplars have an exact index), so it is built after
a backfill.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connections
from django.db.models import TextChoices

from marketplace_ai.db import advisory_locks, vector_type
from marketplace_ai.db.alias import alias

from . import partitions

if TYPE_CHECKING:
    from django.db.backends.utils import CursorWrapper

    from marketplace_ai.models import Encoder


# indisvalid is false while it is built, and for good where that was broken off.
VALID = """
SELECT index.indisvalid FROM pg_index AS index
WHERE index.indexrelid = to_regclass(%(index)s)
"""

#: A builder is idle between two of its statements; after so many seconds it builds nothing.
FORGOTTEN_SECONDS = 10.0

# The object as pg_locks shows it, unsigned. A session that stays idle builds nothing: a transaction
# pooler gave it to others between our statements, and it kept the lock.
BUILDER = f"""
SELECT pid, coalesce(state, '') <> 'idle'
            OR state_change > clock_timestamp() - make_interval(secs => %s)
FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND objsubid = 2 AND classid = %s::oid
  AND objid = ({advisory_locks.OBJECT}::bigint & 4294967295)::oid
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""  # noqa: S608 (constants)

# The cast gives the dimension that the partition's column lacks. CONCURRENTLY: while it is built
# vectors are written as ever; it ends only when transactions older than it have ended.
BUILD = """
CREATE INDEX CONCURRENTLY {index} ON {table}
USING hnsw ({column} {operator_class})
"""


class ForgottenLockError(Exception):
    """Nobody builds the index, and its lock is held all the same."""


class State(TextChoices):
    READY = "ready"
    BUILDING = "building"
    BROKEN_OFF = "broken off"
    MISSING = "missing"


def name(encoder: Encoder) -> str:
    return f"{partitions.name(encoder)}_hnsw"


def state(encoder: Encoder) -> State:
    """The state of the encoder's search index."""
    with connections[alias()].cursor() as cursor:
        cursor.execute(VALID, {"index": name(encoder)})
        found = cursor.fetchone()
        if found and found[0]:
            return State.READY
        cursor.execute(BUILDER, [FORGOTTEN_SECONDS, advisory_locks.SEARCH_INDEX_BUILD, encoder.pk])
        holder = cursor.fetchone()
        if holder and holder[1]:
            return State.BUILDING
    return State.BROKEN_OFF if found else State.MISSING


def build_search_index(encoder: Encoder) -> bool:
    """Build the search index without blocking writes; whether this call built it.

    Call outside any transaction. False if it exists or is being built; an interrupted build is
    started over. Raises ValueError for vectors of more than 4,000 values, and ForgottenLockError.

    It is much faster if the graph fits into ``maintenance_work_mem``, which the caller may set.
    """
    if encoder.dimension > vector_type.MAX_INDEXED_DIMENSION:
        raise ValueError(
            f"The vectors of {encoder.name!r} have {encoder.dimension} values; pgvector indexes "
            f"{vector_type.MAX_INDEXED_DIMENSION} at most."
        )
    lock = [advisory_locks.SEARCH_INDEX_BUILD, encoder.pk]
    with connections[alias()].cursor() as cursor:
        # Of the session, so that it goes with a builder that is killed.
        cursor.execute(f"SELECT pg_try_advisory_lock(%s, {advisory_locks.OBJECT})", lock)
        if not cursor.fetchone()[0]:
            _refuse_forgotten_lock(cursor, lock)
            return False
        try:
            cursor.execute(VALID, {"index": name(encoder)})
            if cursor.fetchone() == (True,):
                return False
            cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name(encoder)}")
            cursor.execute(
                BUILD.format(
                    index=name(encoder),
                    table=partitions.name(encoder),
                    column=vector_type.cast("vector", encoder.dimension),
                    operator_class=vector_type.COSINE_OPERATOR_CLASS,
                )
            )
        finally:
            cursor.execute(f"SELECT pg_advisory_unlock(%s, {advisory_locks.OBJECT})", lock)
    return True


def _refuse_forgotten_lock(cursor: CursorWrapper, lock: list[int]) -> None:
    """Raise ForgottenLockError if the lock is held by a session that builds nothing."""
    cursor.execute(BUILDER, [FORGOTTEN_SECONDS, *lock])
    holder = cursor.fetchone()
    if holder and not holder[1]:
        raise ForgottenLockError(
            f"Process {holder[0]} of PostgreSQL is idle and holds the lock of this search index: a "
            "connection pooler kept its session. Build through a direct connection or a pooler in "
            f"session mode, after SELECT pg_terminate_backend({holder[0]})."
        )
