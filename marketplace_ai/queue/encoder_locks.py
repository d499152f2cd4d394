"""Encoders that must not be switched or retired while something is written for them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.db import connections

from marketplace_ai.models import EncoderState

from . import sql

#: States in which an encoder has vectors.
LIVING = (EncoderState.BUILDING, EncoderState.READY, EncoderState.ACTIVE)


@dataclass(frozen=True, slots=True)
class Kept:
    """An encoder that is kept as it is; when it was put in force last, by the database's clock."""

    activated: dt.datetime | None


#: First key of the locks of encoders ("mAI4" as a number). The row's own lock is not enough: share
#: locks that follow one another without a gap, as of twenty workers, keep who switches waiting for
#: ever, while these are given in the order in which they are asked for.
KEPT_CLASS = 0x6D414934
SHARED = "SELECT pg_advisory_xact_lock_shared(%s, %s)"
ALONE = "SELECT pg_advisory_xact_lock(%s, %s)"


def hold(*encoder_ids: int) -> None:
    """Wait until nothing is being written for these encoders, and let nobody begin before the
    transaction ends. For who switches or retires them."""
    with connections[sql.alias()].cursor() as cursor:
        for encoder_id in sorted(encoder_ids):
            cursor.execute(ALONE, [KEPT_CLASS, encoder_id])


def keep(encoder_id: int, *states: EncoderState) -> Kept | None:
    """Hold an encoder in one of these states until the transaction ends; None where it is in
    another one."""
    values: dict[str, Any] = {"encoder": encoder_id, "states": [str(state) for state in states]}
    with connections[sql.alias()].cursor() as cursor:
        cursor.execute(SHARED, [KEPT_CLASS, encoder_id])
        cursor.execute(sql.KEEP_ENCODER, values)
        row = cursor.fetchone()
    return None if row is None else Kept(row[0])
