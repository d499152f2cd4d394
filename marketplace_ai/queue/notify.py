"""How a wake-up reaches workers in other processes: PostgreSQL's NOTIFY.

Never sent by a trigger: NOTIFY takes a lock on the whole database at commit, which a busy
project would feel at every save.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from django.db import connections

from marketplace_ai.db.alias import alias

from .lease import connect

if TYPE_CHECKING:
    from psycopg import Connection

CHANNEL = "marketplace_ai_wake_up"


def announce() -> None:
    """Wake every listening worker."""
    with connections[alias()].cursor() as cursor:
        cursor.execute(f"NOTIFY {CHANNEL}")


class Listener:
    """An idle connection on which a worker waits for a wake-up or its next poll."""

    def __init__(self) -> None:
        self._connection: Connection[Any] | None = None

    def wait(self, seconds: float) -> bool:
        """Wait at most ``seconds`` for a wake-up; whether one came. Raises psycopg.Error."""
        try:
            if self._connection is None:
                self._connection = connect("listener")
                self._connection.execute(f"LISTEN {CHANNEL}")
            woken = any(True for _ in self._connection.notifies(timeout=seconds, stop_after=1))
        except psycopg.Error:
            self.close()
            raise
        return woken

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None
