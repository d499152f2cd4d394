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


def keep(encoder_id: int, *states: EncoderState) -> Kept | None:
    """Hold an encoder in one of these states until the transaction ends; None where it is in
    another one."""
    values: dict[str, Any] = {"encoder": encoder_id, "states": [str(state) for state in states]}
    with connections[sql.alias()].cursor() as cursor:
        cursor.execute(sql.KEEP_ENCODER, values)
        row = cursor.fetchone()
    return None if row is None else Kept(row[0])
