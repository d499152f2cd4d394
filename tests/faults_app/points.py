"""The points on the way of a batch at which a test may kill, freeze or hold its worker.

They are seen from outside (the encoder's calls and the commits of the connection), so that they
stay where they are however the code between them is written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from marketplace_ai.encoding import DummyEncoder

CLAIMED = "claimed"  # a batch is committed to be this worker's, nothing is encoded
ENCODED = "encoded"  # nothing is written
BEFORE_COMMIT = "before commit"  # all is written, nothing is committed
AFTER_COMMIT = "after commit"
POINTS = (CLAIMED, ENCODED, BEFORE_COMMIT, AFTER_COMMIT)

# Counted until they are flushed, which is done here with every commit.
DECIDES = """
SELECT coalesce(pg_stat_get_xact_tuples_inserted(to_regclass('marketplace_ai_decision')), 0) > 0
       OR coalesce(
           pg_stat_get_xact_tuples_inserted(to_regclass('marketplace_ai_shadowdecision')), 0) > 0,
       pg_stat_force_next_flush()
"""

_encode = DummyEncoder.encode
_commit = psycopg.Connection.commit


def install(reached: Callable[[str], None]) -> None:
    """Call ``reached`` with each point that this process comes to, in the thread that does."""

    def encode(encoder: DummyEncoder, texts: Sequence[str]) -> Any:
        reached(CLAIMED)
        vectors = _encode(encoder, texts)
        reached(ENCODED)
        return vectors

    def commit(connection: psycopg.Connection[Any]) -> None:
        decides = False
        if connection.info.transaction_status == TransactionStatus.INTRANS:
            with connection.cursor(row_factory=psycopg.rows.tuple_row) as cursor:
                decides = bool((cursor.execute(DECIDES).fetchone() or [False])[0])
        if decides:
            reached(BEFORE_COMMIT)
        _commit(connection)
        if decides:
            reached(AFTER_COMMIT)

    setattr(DummyEncoder, "encode", encode)  # noqa: B010 (a method is no place to assign to)
    setattr(psycopg.Connection, "commit", commit)  # noqa: B010


def uninstall() -> None:
    setattr(DummyEncoder, "encode", _encode)  # noqa: B010
    setattr(psycopg.Connection, "commit", _commit)  # noqa: B010
