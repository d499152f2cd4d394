"""Claims: rows that a worker took from the queue with a lease, and how each claim ends."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import connections

from marketplace_ai.conf import conf
from marketplace_ai.db import advisory_locks
from marketplace_ai.db.alias import alias

from . import sql
from .retry_policy import LOCKED_POSTING_SECONDS
from .statements import Statement

if TYPE_CHECKING:
    from collections.abc import Sequence

LOST_ISOLATED = (
    "The worker ended or froze while it worked on this posting alone. "
    "The text may exhaust its memory or crash the encoder."
)


@dataclass(frozen=True, slots=True)
class ClaimedRow:
    """One row of the queue that this worker claimed."""

    id: int
    posting_id: Any
    vector_only: bool
    attempts: int
    priority: int
    queued: dt.datetime


@dataclass(frozen=True, slots=True)
class Claim:
    """Claimed rows, with the token that fences their write. ``encoder_id`` None: the active one.

    ``isolated_waiting``: isolated rows, which are claimed one at a time, waited at that moment.
    """

    token: uuid.UUID
    encoder_id: int | None
    is_isolated: bool
    rows: list[ClaimedRow]
    isolated_waiting: bool = False


def claim(
    worker: int,
    *,
    encoder_id: int | None = None,
    isolated: bool = False,
    above: int = -1,
    single: bool = False,
) -> Claim | None:
    """Claim the next rows in order of priority and age; committed when it returns.

    ``worker`` is the number of ``Liveness.acquire``; ``isolated``: claim a single isolated
    row;
    ``above``: only rows of a higher priority than that; ``single``: one row at most. Returns None
    if there are none.
    """
    token = uuid.uuid4()
    values = {
        "token": token,
        "worker": worker,
        "lease": conf.lease_seconds,
        "isolated": isolated,
        "above": above,
        "encoder": encoder_id,
        "limit": 1 if isolated or single else conf.claim_size,
    }
    claimed = _execute(sql.CLAIM_QUEUED, values, for_encoder=encoder_id is not None)
    rows = [ClaimedRow(*row) for *row, _ in claimed]
    # RETURNING has no order.
    rows.sort(key=lambda row: (-row.priority, row.id))
    return (
        Claim(token, encoder_id, isolated, rows, isolated_waiting=claimed[0][-1]) if rows else None
    )


def is_due(encoders: Sequence[int] = ()) -> bool:
    """Whether a row can be claimed now for the active encoder, or for one of ``encoders``."""
    return bool(_execute(sql.HAS_CLAIMABLE, {"encoders": list(encoders)})[0][0])


def release_lost() -> int:
    """Release the claims of dead and frozen workers; how many rows were freed."""
    values = {
        "liveness": advisory_locks.LIVENESS,
        "max_attempts": conf.max_attempts,
        "reason": LOST_ISOLATED,
    }
    return len(_execute(sql.RELEASE_LOST, values))


def release(token: uuid.UUID, ids: list[int], *, delay: float = 0.0) -> None:
    """Release rows uncounted, to be claimed again after ``delay`` seconds."""
    _execute(sql.RELEASE_CLAIMED, {"token": token, "ids": ids, "delay": delay})


def fail(token: uuid.UUID, row_id: int, error: str) -> None:
    """Count a failure of this posting alone; after the last attempt it is marked failed."""
    values = {"token": token, "id": row_id, "error": _storable(error)}
    _execute(sql.FAIL_CLAIMED, values | {"max_attempts": conf.max_attempts})


def postpone(token: uuid.UUID, row_id: int, error: str, *, delay: float) -> None:
    """Isolate a row that something else than its posting stops: not counted, tried again after
    ``delay`` seconds, with ``error`` to be seen."""
    values = {"token": token, "id": row_id, "error": _storable(error), "delay": delay}
    _execute(sql.POSTPONE_CLAIMED, values)


def _storable(error: str) -> str:
    # A NUL in an exception's text must not make its own recording fail.
    return error.replace("\x00", " ").encode("utf-8", "replace").decode()[:2000]


def isolate(token: uuid.UUID, ids: list[int]) -> None:
    """Isolate the rows of a failed batch: they are claimed one by one, to find the one that
    fails."""
    _execute(sql.ISOLATE_CLAIMED, {"token": token, "ids": ids})


def finish(token: uuid.UUID, ids: list[int]) -> None:
    """Delete rows from the queue that need nothing more."""
    if ids:
        _execute(sql.DELETE_CLAIMED, {"token": token, "ids": ids})


def finish_statements(
    token: uuid.UUID, done: list[int], changed: list[int], locked: list[int]
) -> list[Statement]:
    """Statements that end a claim: rows that are done leave the queue, those whose text changed
    are released now, those whose posting is locked after a pause."""
    statements: list[Statement] = []
    if done:
        statements.append((sql.DELETE_CLAIMED, {"token": token, "ids": done}))
    if changed:
        statements.append((sql.RELEASE_CLAIMED, {"token": token, "ids": changed, "delay": 0.0}))
    if locked:
        values = {"token": token, "ids": locked, "delay": LOCKED_POSTING_SECONDS}
        statements.append((sql.RELEASE_CLAIMED, values))
    return statements


def _execute(
    template: str, values: dict[str, Any], *, for_encoder: bool = False
) -> list[tuple[Any, ...]]:
    # A single statement is a transaction: no BEGIN and COMMIT to wait for.
    with connections[alias()].cursor() as cursor:
        cursor.execute(sql.statement(template, for_encoder=for_encoder), values)
        return list(cursor.fetchall()) if cursor.description else []
