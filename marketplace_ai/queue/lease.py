"""How a drainer shows that it lives, and how its claims stay its own while it works.

Two connections beside the one that works: an idle one that holds the advisory lock (a
statement running on it would keep the lock past its process's death), and one that renews.
Both are opened after any fork.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import psycopg
from django.db import connections

from marketplace_ai.conf import conf
from marketplace_ai.db import advisory_locks
from marketplace_ai.db.alias import alias
from marketplace_ai.db.read_timeout import set_read_timeout

from . import sql

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable

logger = logging.getLogger(__name__)


def connect(role: str) -> psycopg.Connection[Any]:
    """A connection of its own to the queue's database, named for pg_stat_activity."""
    wrapper = connections[alias()]
    parameters = dict(wrapper.get_connection_params())
    for django_only in ("cursor_factory", "context", "prepare_threshold"):
        parameters.pop(django_only, None)
    parameters["application_name"] = f"marketplace_ai {role} {socket.gethostname()}:{os.getpid()}"
    parameters.setdefault("connect_timeout", 10)
    # A peer that vanished without a word is noticed within the lease.
    parameters |= {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
    # Also while an answer is awaited, when keepalives are silent; in milliseconds.
    parameters["tcp_user_timeout"] = 25_000
    connection: psycopg.Connection[Any] = psycopg.connect(**parameters, autocommit=True)
    set_read_timeout(connection)
    return connection


class Liveness:
    """The advisory lock that lives exactly as long as this process."""

    def __init__(self) -> None:
        self._connection: psycopg.Connection[Any] | None = None
        self.worker = 0

    def hold(self) -> int:
        """Make sure the lock is held; this drainer's number (another one after a reconnect).

        Called once a turn, whose beginning others see by it (``alive``).
        Raises psycopg.Error where the connection was lost meanwhile; the next call makes another.
        """
        if self._connection is not None:
            try:
                self._connection.execute("SELECT 1")
                return self.worker
            except psycopg.Error:
                self.close()
                raise
        connection = connect("drainer")
        while True:
            worker = secrets.randbelow(2**31 - 1) + 1
            held = connection.execute(
                "SELECT pg_try_advisory_lock(%s, %s)", [advisory_locks.LIVENESS, worker]
            ).fetchone()
            if held and held[0]:
                self._connection, self.worker = connection, worker
                return worker

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


class Renewal:
    """Renews one claim at a third of its lease, from ``start`` to ``stop``.

    A batch that is in the encoder, from ``begin`` to ``rest``, for longer than
    ``MARKETPLACE_AI_ENCODE_TIMEOUT`` is given up: ``expire`` is called, which in a worker ends the
    process, since a hung device call cannot be ended.
    """

    def __init__(self, token: uuid.UUID, expire: Callable[[], None]) -> None:
        self._token, self._expire = token, expire
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease-renewal", daemon=True)
        self._since: float | None = None

    def start(self) -> None:
        self._thread.start()

    def begin(self) -> None:
        self._since = time.monotonic()

    def rest(self) -> None:
        """What is left of the claim waits for other batches."""
        self._since = None

    def stop(self) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        connection: psycopg.Connection[Any] | None = None
        lease = float(conf.lease_seconds)
        while not self._done.wait(min(lease / 3, 10.0)):
            since = self._since
            if since is not None and time.monotonic() - since > conf.encode_timeout:
                self._expire()
                break
            try:
                connection = connection or connect("lease")
                connection.execute(sql.RENEW, {"token": self._token, "lease": lease})
            except psycopg.Error as error:
                # The fence keeps a lost lease harmless; the next turn tries again.
                logger.warning("A lease could not be renewed: %s", error)
                if connection is not None:
                    connection.close()
                connection = None
        if connection is not None:
            connection.close()
