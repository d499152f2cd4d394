"""Heartbeats: what each worker says about itself, and what ``doctor`` reads of it.

An advisory lock shows that a process lives, not what it waits for; and it shows workers of another
project in the same database as well. Only a worker with a row here, in our own table, is ours.
"""

from __future__ import annotations

import logging
import os
import socket
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.db import connections, transaction

from marketplace_ai.db import advisory_locks
from marketplace_ai.db.alias import alias
from marketplace_ai.db.error_kind import DATABASE_ERRORS, ErrorKind, describe_with_cure, error_kind

logger = logging.getLogger(__name__)

#: A worker writes its row this often at most, in seconds.
BEAT_SECONDS = 5.0
#: Longest error kept.
ERROR_LENGTH = 1000

# Failing since the first error in a row.
UPSERT_HEARTBEAT = """
INSERT INTO marketplace_ai_workerheartbeat AS known
    (id, name, worker, started_at, seen_at, last_error, failing_since)
VALUES (%(id)s, %(name)s, %(worker)s, now(), now(), %(error)s,
        CASE WHEN %(error)s <> '' THEN now() END)
ON CONFLICT (id) DO UPDATE SET
    worker = excluded.worker, seen_at = now(), last_error = excluded.last_error,
    failing_since = CASE WHEN excluded.last_error <> ''
                         THEN coalesce(known.failing_since, now()) END
"""

DELETE_HEARTBEAT = "DELETE FROM marketplace_ai_workerheartbeat WHERE id = %(id)s"

# What killed workers left behind.
DELETE_STALE = """
DELETE FROM marketplace_ai_workerheartbeat WHERE seen_at < now() - interval '1 day'
"""

LOCKS = """
SELECT objid::bigint AS worker FROM pg_locks
WHERE locktype = 'advisory' AND granted AND objsubid = 2 AND classid = %(liveness)s::oid
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""

STATUSES = f"""
WITH lock AS MATERIALIZED ({LOCKS})
SELECT name, worker IN (SELECT worker FROM lock), last_error,
       extract(epoch FROM clock_timestamp() - seen_at)::float8,
       coalesce(extract(epoch FROM clock_timestamp() - failing_since)::float8, 0)
FROM marketplace_ai_workerheartbeat
ORDER BY started_at, id
"""  # noqa: S608 (constants)

OTHER_WORKERS = f"""
SELECT count(*) FROM ({LOCKS}) AS lock
WHERE worker NOT IN (SELECT worker FROM marketplace_ai_workerheartbeat)
"""  # noqa: S608 (constants)


class Heartbeat:
    """One worker's row. Writing it never fails the worker: what is wrong with the database shows
    in the work itself, and what is wrong with this table is logged."""

    def __init__(self) -> None:
        self._id = uuid.uuid4()
        self._next = 0.0
        self._last: tuple[int, str] | None = None
        self._has_complained = False

    def beat(self, worker: int, error: str | None = None) -> None:
        """Say that worker number ``worker`` moves. ``error``: what it is waiting out, "" once it
        has worked again; None leaves that as it is."""
        if error is None:
            error = "" if self._last is None else self._last[1]
        error = error.replace("\x00", " ")[:ERROR_LENGTH]
        if time.monotonic() < self._next and self._last == (worker, error):
            return
        values = {
            "id": self._id,
            "name": f"{socket.gethostname()}:{os.getpid()}",
            "worker": worker,
            "error": error,
        }
        try:
            self._execute(UPSERT_HEARTBEAT, values)
            if self._last is None:
                self._execute(DELETE_STALE, {})
            self._last, self._next = (worker, error), time.monotonic() + BEAT_SECONDS
        except DATABASE_ERRORS as problem:
            self._complain(problem)

    def _complain(self, error: Exception) -> None:
        """Log, once, what does not pass by itself."""
        if error_kind(error) is not ErrorKind.INFRASTRUCTURE and not self._has_complained:
            self._has_complained = True
            logger.warning("doctor cannot see this worker: %s", describe_with_cure(error))

    def end(self) -> None:
        """The worker ends."""
        if self._last is not None:
            with suppress(*DATABASE_ERRORS):
                self._execute(DELETE_HEARTBEAT, {"id": self._id})

    def _execute(self, statement: str, values: dict[str, Any]) -> None:
        connection = connections[alias()]
        with transaction.atomic(using=alias()), connection.cursor() as cursor:
            cursor.execute(statement, values)


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """A worker by its heartbeat.

    ``has_lock``: its session is there. ``last_error``: what it waits for, for ``failing`` seconds
    now; "" if nothing. ``silent``: seconds since it last moved.
    """

    name: str
    has_lock: bool
    last_error: str
    silent: float
    failing: float


def worker_statuses() -> list[WorkerStatus]:
    """All workers of this project that have not ended properly, the oldest first."""
    with connections[alias()].cursor() as cursor:
        cursor.execute(STATUSES, {"liveness": advisory_locks.LIVENESS})
        return [WorkerStatus(*row) for row in cursor.fetchall()]


def count_other_workers() -> int:
    """Workers of other projects, or other schemas, in this database."""
    with connections[alias()].cursor() as cursor:
        cursor.execute(OTHER_WORKERS, {"liveness": advisory_locks.LIVENESS})
        return int(cursor.fetchone()[0])


def worker_names() -> list[str]:
    """Names (host and process) of this project's workers that are alive now."""
    return [status.name for status in worker_statuses() if status.has_lock]
