"""Locks that keep an encoder from being switched or retired while something is written for it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.db import connections

from marketplace_ai.db import advisory_locks
from marketplace_ai.db.alias import alias
from marketplace_ai.models import EncoderState

from . import sql

#: States in which an encoder has vectors.
STATES_WITH_VECTORS = (EncoderState.BUILDING, EncoderState.READY, EncoderState.ACTIVE)


@dataclass(frozen=True, slots=True)
class LockedEncoder:
    """An encoder that keeps its state; when it was last activated, by the database's clock."""

    activated: dt.datetime | None


# The row's own lock is not enough: an unbroken chain of share locks, as from twenty workers, would
# keep a switch waiting forever, while advisory locks are granted in the order they are requested.


def lock_exclusive(*encoder_ids: int) -> None:
    """Wait until nothing is being written for these encoders, and keep new writes waiting until
    the transaction ends. Taken before they are switched or retired."""
    with connections[alias()].cursor() as cursor:
        for encoder_id in sorted(encoder_ids):
            advisory_locks.lock(cursor, advisory_locks.ENCODER_STATE, encoder_id)


def lock_shared(encoder_id: int, *states: EncoderState) -> LockedEncoder | None:
    """Keep an encoder in its state until the transaction ends; None if that is not one of
    ``states``. Taken before something is written for it."""
    values: dict[str, Any] = {"encoder": encoder_id, "states": [str(state) for state in states]}
    with connections[alias()].cursor() as cursor:
        advisory_locks.lock_shared(cursor, advisory_locks.ENCODER_STATE, encoder_id)
        cursor.execute(sql.LOCK_ENCODER, values)
        row = cursor.fetchone()
    return None if row is None else LockedEncoder(row[0])
