"""Leases: how a worker shows that it is alive, and keeps its claims while it works on them.

Two connections besides the one that does the work: an idle one that holds the advisory lock (a
statement running on it would keep the lock past the death of its process), and one that renews
leases. Both are opened after any fork.
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
from .lease_timing import NEVER_IDLE, lease_timing

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable

logger = logging.getLogger(__name__)

#: Role in the name of the connection that holds a worker's lock (see ``connect``).
WORKER_ROLE = "worker"


def connect(role: str) -> psycopg.Connection[Any]:
    """Open a separate connection to the queue's database, named for pg_stat_activity."""
    wrapper = connections[alias()]
    parameters = dict(wrapper.get_connection_params())
    for django_only in ("cursor_factory", "context"):
        parameters.pop(django_only, None)
    parameters["application_name"] = f"marketplace_ai {role} {socket.gethostname()}:{os.getpid()}"
    timing = lease_timing()
    parameters.setdefault("connect_timeout", timing.connect_timeout)
    parameters |= timing.connection_parameters()
    connection: psycopg.Connection[Any] = psycopg.connect(**parameters, autocommit=True)
    set_read_timeout(connection, timing.read_timeout)
    connection.execute(NEVER_IDLE)
    return connection


class Liveness:
    """The advisory lock that a worker holds exactly as long as its process lives."""

    def __init__(self) -> None:
        self._connection: psycopg.Connection[Any] | None = None
        self.worker = 0

    def acquire(self) -> int:
        """Hold the lock, or make sure that it is held; the worker's number, which is another
        one after a reconnect.

        Called at the start of each loop iteration, which the liveness probe measures by it.
        Raises psycopg.Error if the connection was lost; the next call opens another.
        """
        if self._connection is not None:
            try:
                self._connection.execute("SELECT 1")
                return self.worker
            except psycopg.Error:
                self.close()
                raise
        connection = connect(WORKER_ROLE)
        while True:
            worker = secrets.randbelow(2**31 - 1) + 1
            row = connection.execute(
                "SELECT pg_try_advisory_lock(%s, %s)", [advisory_locks.LIVENESS, worker]
            ).fetchone()
            if row and row[0]:
                self._connection, self.worker = connection, worker
                return worker

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


class Renewal:
    """A thread that renews the lease of one claim, from ``start`` to ``stop``.

    A batch that is in the encoder, from ``start_timer`` to ``stop_timer``, for longer than
    ``MARKETPLACE_AI_ENCODE_TIMEOUT`` is given up: ``expire`` is called, which in a worker ends
    the process, since a device call that hangs cannot be ended.
    """

    def __init__(self, token: uuid.UUID, expire: Callable[[], None]) -> None:
        self._token, self._expire = token, expire
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease-renewal", daemon=True)
        self._encoding_since: float | None = None

    def start(self) -> None:
        self._thread.start()

    def start_timer(self) -> None:
        """A batch of the claim goes into the encoder."""
        self._encoding_since = time.monotonic()

    def stop_timer(self) -> None:
        """It is encoded; the rest of the claim waits for other batches."""
        self._encoding_since = None

    def stop(self) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        connection: psycopg.Connection[Any] | None = None
        timing = lease_timing()
        while not self._done.wait(timing.renewal_interval):
            since = self._encoding_since
            if since is not None and time.monotonic() - since > conf.encode_timeout:
                self._expire()
                break
            try:
                connection = connection or connect("lease")
                connection.execute(sql.RENEW_LEASE, {"token": self._token, "lease": timing.lease})
            except psycopg.Error as error:
                # The fence keeps a lost lease harmless; the next iteration tries again.
                logger.warning("A lease could not be renewed: %s", error)
                if connection is not None:
                    connection.close()
                connection = None
        if connection is not None:
            connection.close()
