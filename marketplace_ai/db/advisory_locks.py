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

The numbers spell "mAI1" to "mAI7". A project must not use them for its own advisory locks.
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


def lock(cursor: CursorWrapper, number: int) -> None:
    """Wait for a lock and hold it until the transaction ends."""
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", [number])


def try_lock(cursor: CursorWrapper, number: int) -> bool:
    """Take a lock until the transaction ends if nobody holds it; whether it was taken."""
    cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number])
    return bool(cursor.fetchone()[0])


def lock_row(cursor: CursorWrapper, number: int, key: int) -> None:
    """Wait for the lock of one object and hold it until the transaction ends."""
    cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [number, key])


def lock_row_shared(cursor: CursorWrapper, number: int, key: int) -> None:
    """As ``lock_row``, together with others that share it."""
    cursor.execute("SELECT pg_advisory_xact_lock_shared(%s, %s)", [number, key])
