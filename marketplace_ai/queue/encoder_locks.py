"""Encoders that must not be switched or retired while something is written for them."""

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
LIVING = (EncoderState.BUILDING, EncoderState.READY, EncoderState.ACTIVE)


@dataclass(frozen=True, slots=True)
class Kept:
    """An encoder that is kept as it is; when it was put in force last, by the database's clock."""

    activated: dt.datetime | None


# The row's own lock is not enough: share locks that follow one another without a gap, as of twenty
# workers, keep who switches waiting for ever, while advisory locks are given in the order in which
# they are asked for.


def hold(*encoder_ids: int) -> None:
    """Wait until nothing is being written for these encoders, and let nobody begin before the
    transaction ends. For who switches or retires them."""
    with connections[alias()].cursor() as cursor:
        for encoder_id in sorted(encoder_ids):
            advisory_locks.lock_row(cursor, advisory_locks.ENCODER_STATE, encoder_id)


def keep(encoder_id: int, *states: EncoderState) -> Kept | None:
    """Hold an encoder in one of these states until the transaction ends; None where it is in
    another one."""
    values: dict[str, Any] = {"encoder": encoder_id, "states": [str(state) for state in states]}
    with connections[alias()].cursor() as cursor:
        advisory_locks.lock_row_shared(cursor, advisory_locks.ENCODER_STATE, encoder_id)
        cursor.execute(sql.KEEP_ENCODER, values)
        row = cursor.fetchone()
    return None if row is None else Kept(row[0])
