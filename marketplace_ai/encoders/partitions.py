"""The partition of each encoder's posting vectors: created and dropped with the encoder."""

from __future__ import annotations

import time

from django.db import OperationalError, ProgrammingError, connections

from marketplace_ai.db import vector_type
from marketplace_ai.db.alias import alias
from marketplace_ai.encoding import EncoderError
from marketplace_ai.models import Encoder, PostingEmbedding
from marketplace_ai.schema.encoder_partitions import create, ensure, name

__all__ = ["check_dimension", "create", "drop", "ensure", "exists", "name"]

#: Timeout in milliseconds of locks on the partitioned and the referenced tables (the project's
#: postings among them), number of attempts, and seconds between them. A waiting lock request blocks
#: all later ones, so it must be short.
LOCK_TIMEOUT, LOCK_ATTEMPTS, LOCK_PAUSE = 100, 60, 1.0
#: SQLSTATEs of a lock timeout, a deadlock, another unfinished detach, and a table that was just
#: dropped.
RETRYABLE = ("55P03", "40P01", "55000", "42P01")

# Attached: whether a detaching was broken off; NULL where it is not, or no longer, attached.
STATE = """
SELECT to_regclass(%(table)s) IS NOT NULL,
       (SELECT inhdetachpending FROM pg_inherits
        WHERE inhrelid = to_regclass(%(table)s) AND inhparent = %(parent)s::regclass)
"""

UNFINISHED_DETACH = """
SELECT inhrelid::regclass::text FROM pg_inherits
WHERE inhparent = %(parent)s::regclass AND inhdetachpending
"""


def check_dimension(dimension: int) -> None:
    """Raise EncoderError for vectors that the database cannot store."""
    if dimension > vector_type.MAX_DIMENSION:
        raise EncoderError(
            f"Its vectors have {dimension} values; a {vector_type.SQL_TYPE} has "
            f"{vector_type.MAX_DIMENSION} at "
            "most. Choose an encoder of a smaller dimension."
        )


def exists(encoder: Encoder) -> bool:
    """Whether the partition exists, attached or not."""
    return _state(encoder)[0]


def drop(encoder: Encoder) -> bool:
    """Drop the partition, also after an interrupted attempt; whether it is gone.

    Call outside any transaction. False if others held its locks during all attempts.
    """
    table, parent = name(encoder), PostingEmbedding._meta.db_table
    with connections[alias()].cursor() as cursor:
        cursor.execute(f"SET lock_timeout = {LOCK_TIMEOUT}")
        try:
            for _ in range(LOCK_ATTEMPTS):
                is_there, detaching = _state(encoder)
                if not is_there:
                    return True
                # CONCURRENTLY: reads and writes of other encoders' vectors go on.
                how = {
                    None: f"DROP TABLE {table}",
                    False: f"ALTER TABLE {parent} DETACH PARTITION {table} CONCURRENTLY",
                    True: "",  # as any other one, below
                }[detaching]
                cursor.execute(UNFINISHED_DETACH, {"parent": parent})
                for (other,) in cursor.fetchall():
                    # One at a time is allowed, whoever's it is.
                    how = f"ALTER TABLE {parent} DETACH PARTITION {other} FINALIZE"
                try:
                    cursor.execute(how)
                except (OperationalError, ProgrammingError) as error:
                    if getattr(error.__cause__, "sqlstate", None) not in RETRYABLE:
                        raise
                    time.sleep(LOCK_PAUSE)
        finally:
            cursor.execute("RESET lock_timeout")
    return not exists(encoder)


def _state(encoder: Encoder) -> tuple[bool, bool | None]:
    with connections[alias()].cursor() as cursor:
        cursor.execute(STATE, {"table": name(encoder), "parent": PostingEmbedding._meta.db_table})
        is_there, detaching = cursor.fetchone()
    return is_there, detaching
