"""Claims: who works on which postings, for how long, and what becomes of lost ones."""

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
from .statements import Step

if TYPE_CHECKING:
    from collections.abc import Sequence

LOST_ALONE = (
    "The worker ended or froze while it worked on this posting alone. "
    "The text may exhaust its memory or crash the encoder."
)


@dataclass(frozen=True, slots=True)
class Claimed:
    """One row of the queue in this worker's hands."""

    id: int
    job_id: Any
    vector_only: bool
    attempts: int
    priority: int
    queued: dt.datetime


@dataclass(frozen=True, slots=True)
class Claim:
    """A batch with the token that fences its write. ``encoder_id`` None: the active one.

    ``alone_waits``: at that moment other rows waited that are to be claimed by themselves.
    """

    token: uuid.UUID
    encoder_id: int | None
    alone: bool
    rows: list[Claimed]
    alone_waits: bool = False


def claim(
    worker: int, *, encoder_id: int | None = None, alone: bool = False, above: int = -1
) -> Claim | None:
    """The next rows in order of priority and age, or None; committed when it returns.

    ``above``: only such as are more urgent than that.
    """
    token = uuid.uuid4()
    values = {
        "token": token,
        "worker": worker,
        "lease": conf.lease_seconds,
        "alone": alone,
        "above": above,
        "encoder": encoder_id,
        "limit": 1 if alone else conf.batch_size,
    }
    found = _execute(sql.CLAIM, values, for_encoder=encoder_id is not None)
    rows = [Claimed(*row) for *row, _ in found]
    # RETURNING has no order; a batch is worked off in the order of its claim.
    rows.sort(key=lambda row: (-row.priority, row.id))
    return Claim(token, encoder_id, alone, rows, alone_waits=found[0][-1]) if rows else None


def is_due(encoders: Sequence[int] = ()) -> bool:
    """Whether something may be claimed now for the active encoder, or for one of ``encoders``."""
    return bool(_execute(sql.DUE, {"encoders": list(encoders)})[0][0])


def recover() -> int:
    """Free what dead and frozen workers hold; how many rows were freed."""
    values = {
        "liveness": advisory_locks.LIVENESS,
        "max_attempts": conf.max_attempts,
        "reason": LOST_ALONE,
    }
    return len(_execute(sql.RECOVER, values))


def release(token: uuid.UUID, ids: list[int], *, delay: float = 0.0) -> None:
    """Give rows back uncounted, to be claimed again after ``delay`` seconds."""
    _execute(sql.RELEASE, {"token": token, "ids": ids, "delay": delay})


def fail(token: uuid.UUID, row_id: int, error: str) -> None:
    """Count a failure that was this posting's own; at the bound it is set aside."""
    # A NUL in an exception's text must not make its own recording fail.
    message = error.replace("\x00", " ").encode("utf-8", "replace").decode()[:2000]
    _execute(
        sql.FAIL,
        {"token": token, "id": row_id, "error": message, "max_attempts": conf.max_attempts},
    )


def isolate(token: uuid.UUID, ids: list[int]) -> None:
    """Have the rows of a failed batch claimed one by one, to find the one that fails."""
    _execute(sql.ISOLATE, {"token": token, "ids": ids})


def finish(token: uuid.UUID, ids: list[int]) -> None:
    """Take rows off the queue that need nothing more."""
    if ids:
        _execute(sql.FINISH, {"token": token, "ids": ids})


def settled(
    token: uuid.UUID, done: list[int], again: list[int], later: list[int], delay: float
) -> list[Step]:
    """What takes rows off the queue, or gives them back for now or for later, in one write."""
    steps: list[Step] = []
    if done:
        steps.append((sql.FINISH, {"token": token, "ids": done}))
    if again:
        steps.append((sql.RELEASE, {"token": token, "ids": again, "delay": 0.0}))
    if later:
        steps.append((sql.RELEASE, {"token": token, "ids": later, "delay": delay}))
    return steps


def _execute(
    template: str, values: dict[str, Any], *, for_encoder: bool = False
) -> list[tuple[Any, ...]]:
    # A statement by itself is a transaction by itself: no BEGIN and COMMIT to wait for.
    with connections[alias()].cursor() as cursor:
        cursor.execute(sql.statement(template, for_encoder=for_encoder), values)
        return list(cursor.fetchall()) if cursor.description else []
