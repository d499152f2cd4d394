"""How the queue is doing: what waits, for how long, and who works on it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.db import connections

from . import sql

# A drainer's name is that of the connection that holds its lock.
DRAINERS = """
SELECT activity.application_name
FROM pg_locks AS lock JOIN pg_stat_activity AS activity ON activity.pid = lock.pid
WHERE lock.locktype = 'advisory' AND lock.granted AND lock.objsubid = 2
  AND lock.classid = %(liveness)s::oid
  AND lock.database = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY activity.backend_start
"""

QUEUE = """
SELECT count(*) FILTER (WHERE set_aside IS NULL),
       count(*) FILTER (WHERE set_aside IS NULL AND token IS NOT NULL),
       count(*) FILTER (WHERE set_aside IS NOT NULL),
       now() - min(queued) FILTER (WHERE set_aside IS NULL AND priority > 0)
FROM marketplace_ai_pendingjob
"""

LOG = """
SELECT count(*) FILTER (WHERE job_id IS NOT NULL), count(*) FILTER (WHERE job_id IS NULL),
       now() - min(logged) FILTER (WHERE job_id IS NOT NULL)
FROM marketplace_ai_jobchange
"""


@dataclass(frozen=True, slots=True)
class QueueHealth:
    """Counts of postings; ``oldest`` is the age of the oldest fresh one not decided yet."""

    logged: int
    pending: int
    claimed: int
    set_aside: int
    rescans: int
    oldest: dt.timedelta


def drainers() -> list[str]:
    """Names (host and process) of the drainers that live now."""
    with connections[sql.alias()].cursor() as cursor:
        cursor.execute(DRAINERS, {"liveness": sql.LIVENESS_CLASS})
        return [str(name).removeprefix("marketplace_ai drainer ") for (name,) in cursor.fetchall()]


def queue() -> QueueHealth:
    """The queue as it is now, by the database's clock."""
    with connections[sql.alias()].cursor() as cursor:
        cursor.execute(QUEUE)
        pending, claimed, set_aside, oldest_pending = cursor.fetchone()
        cursor.execute(LOG)
        logged, rescans, oldest_logged = cursor.fetchone()
    nothing = dt.timedelta()
    return QueueHealth(
        logged, pending, claimed, set_aside, rescans,
        max(oldest_pending or nothing, oldest_logged or nothing),
    )  # fmt: skip
