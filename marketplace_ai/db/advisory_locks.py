"""Every PostgreSQL advisory lock of this app, with its number.

| constant | second key | lasts for | meaning |
|---|---|---|---|
| ``LIVENESS`` | worker | the session | this worker is alive |
| ``ENCODER_REGISTRATION`` | | the transaction | only one process registers the first encoder |
| ``SEARCH_INDEX_BUILD`` | encoder | the session | somebody builds this encoder's search index |
| ``ENCODER_STATE`` | encoder | the transaction | shared: a write relies on the encoder's state; \
exclusive: the state changes |
| ``ACTIVATION`` | | the transaction | an encoder or a classifier version is being activated |
| ``DESCRIPTION_SYNC`` | | the transaction | somebody syncs the descriptions |
| ``TAXONOMY`` | | the transaction | exemplars follow the keys of their categories |
| ``REFIT`` | | the session | a refit is running |

The numbers spell "mAI1" to "mAI8". A project must not use them for its own advisory locks.

Advisory locks belong to the database, and two projects may share one, each in its own schema. So
the second key of a lock, except that of ``LIVENESS``, which is random, comes from ``OBJECT``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from django.db.backends.utils import CursorWrapper

LIVENESS: Final = 0x6D414931
ENCODER_REGISTRATION: Final = 0x6D414932
SEARCH_INDEX_BUILD: Final = 0x6D414933
ENCODER_STATE: Final = 0x6D414934
ACTIVATION: Final = 0x6D414935
DESCRIPTION_SYNC: Final = 0x6D414936
TAXONOMY: Final = 0x6D414937
REFIT: Final = 0x6D414938

#: SQL of a lock's second key, from the id of an encoder (or 0) and the oid of our own table, which
#: no other schema has. Two objects may hash to one key: they wait for each other then.
OBJECT: Final = "hashint8('marketplace_ai_encoder'::regclass::oid::bigint << 32 # %s)"


def lock(cursor: CursorWrapper, number: int, encoder_id: int = 0) -> None:
    """Wait for a lock and hold it until the transaction ends."""
    cursor.execute(f"SELECT pg_advisory_xact_lock(%s, {OBJECT})", [number, encoder_id])


def lock_shared(cursor: CursorWrapper, number: int, encoder_id: int) -> None:
    """As ``lock``, together with others that share it."""
    cursor.execute(f"SELECT pg_advisory_xact_lock_shared(%s, {OBJECT})", [number, encoder_id])


def try_lock(cursor: CursorWrapper, number: int) -> bool:
    """Take a lock until the transaction ends if nobody holds it; whether it was taken."""
    cursor.execute(f"SELECT pg_try_advisory_xact_lock(%s, {OBJECT})", [number, 0])
    return bool(cursor.fetchone()[0])


def try_lock_session(cursor: CursorWrapper, number: int) -> bool:
    """Take a lock until it is given back or the session ends if no other session holds it."""
    cursor.execute(f"SELECT pg_try_advisory_lock(%s, {OBJECT})", [number, 0])
    return bool(cursor.fetchone()[0])


def unlock_session(cursor: CursorWrapper, number: int) -> None:
    """Give back what ``try_lock_session`` took."""
    cursor.execute(f"SELECT pg_advisory_unlock(%s, {OBJECT})", [number, 0])


# pg_locks shows the second key unsigned.
HELD = f"""
SELECT EXISTS (
    SELECT FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND objsubid = 2 AND classid = %s::oid
      AND objid = ({OBJECT}::bigint & 4294967295)::oid
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
)
"""  # noqa: S608 (constants)


def is_held(cursor: CursorWrapper, number: int) -> bool:
    """Whether any session holds a lock, this one included."""
    cursor.execute(HELD, [number, 0])
    return bool(cursor.fetchone()[0])
