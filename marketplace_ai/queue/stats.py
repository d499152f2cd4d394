"""How the queue is doing: what waits, for how long, and who works on it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.db import connections

from marketplace_ai.db import advisory_locks
from marketplace_ai.db.alias import alias

# A drainer's name is that of the connection that holds its lock.
DRAINERS = """
SELECT activity.application_name
FROM pg_locks AS lock JOIN pg_stat_activity AS activity ON activity.pid = lock.pid
WHERE lock.locktype = 'advisory' AND lock.granted AND lock.objsubid = 2
  AND lock.classid = %(liveness)s::oid
  AND lock.database = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY activity.backend_start
"""

#: Rows counted of each kind: a backfill may have millions waiting, and nobody reads their number.
LARGEST_COUNT = 100_000

# What is fresh is looked for by the two partial indexes of the claim and of what is claimed.
QUEUE = """
SELECT (SELECT count(*) FROM (
            SELECT FROM marketplace_ai_queuedposting WHERE failed_at IS NULL LIMIT %(bound)s
        ) AS pending),
       (SELECT count(*) FROM (
            SELECT FROM marketplace_ai_queuedposting
            WHERE failed_at IS NULL AND token IS NOT NULL LIMIT %(bound)s
        ) AS claimed),
       (SELECT count(*) FROM (
            SELECT FROM marketplace_ai_queuedposting WHERE failed_at IS NOT NULL LIMIT %(bound)s
        ) AS aside),
       (SELECT now() - min(queued_at) FROM (
            (SELECT queued_at FROM marketplace_ai_queuedposting
             WHERE token IS NULL AND failed_at IS NULL AND encoder_id IS NULL
               AND is_isolated IN (false, true) AND priority > 0
             LIMIT %(bound)s)
            UNION ALL
            (SELECT queued_at FROM marketplace_ai_queuedposting
             WHERE token IS NOT NULL AND failed_at IS NULL AND priority > 0 LIMIT %(bound)s)
        ) AS fresh)
"""

# The log has no index and is read from its beginning, where the oldest changes are.
LOG = """
SELECT count(*) FILTER (WHERE posting_id IS NOT NULL), count(*) FILTER (WHERE posting_id IS NULL),
       now() - min(logged_at) FILTER (WHERE posting_id IS NOT NULL)
FROM (SELECT posting_id, logged_at FROM marketplace_ai_postingchange LIMIT %(bound)s) AS change
"""

# Whose snapshot is so old that no dead row since can be cleared away. Without the right to see
# others' sessions (pg_monitor) only one's own are found.
HORIZON = """
SELECT pid, coalesce(usename, ''), coalesce(application_name, ''), now() - xact_start
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
  AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)
  AND backend_type = 'client backend' AND xact_start < now() - make_interval(secs => %(age)s)
ORDER BY xact_start LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class OpenTransaction:
    """A transaction of anybody that is open for long."""

    pid: int
    user: str
    application: str
    age: dt.timedelta


@dataclass(frozen=True, slots=True)
class QueueHealth:
    """Counts of postings, none above ``LARGEST_COUNT + 1``; ``shown`` says them to people.

    ``oldest`` is the age of the oldest fresh one that is not decided yet.
    """

    logged: int
    pending: int
    claimed: int
    set_aside: int
    rescans: int
    oldest: dt.timedelta


def shown(count: int) -> int | str:
    """A count for people: itself, or ``100,000+`` where it was not counted to the end."""
    return count if count <= LARGEST_COUNT else f"{LARGEST_COUNT:,}+"


def drainers() -> list[str]:
    """Names (host and process) of the drainers that live now."""
    with connections[alias()].cursor() as cursor:
        cursor.execute(DRAINERS, {"liveness": advisory_locks.LIVENESS})
        return [str(name).removeprefix("marketplace_ai drainer ") for (name,) in cursor.fetchall()]


def oldest_transaction(age: dt.timedelta) -> OpenTransaction | None:
    """The oldest transaction that is open for longer than ``age`` and holds back vacuum."""
    with connections[alias()].cursor() as cursor:
        cursor.execute(HORIZON, {"age": age.total_seconds()})
        row = cursor.fetchone()
    return OpenTransaction(*row) if row else None


def queue() -> QueueHealth:
    """The queue as it is now, by the database's clock."""
    with connections[alias()].cursor() as cursor:
        cursor.execute(QUEUE, {"bound": LARGEST_COUNT + 1})
        pending, claimed, set_aside, oldest_pending = cursor.fetchone()
        cursor.execute(LOG, {"bound": LARGEST_COUNT + 1})
        logged, rescans, oldest_logged = cursor.fetchone()
    nothing = dt.timedelta()
    return QueueHealth(
        logged, pending, claimed, set_aside, rescans,
        max(oldest_pending or nothing, oldest_logged or nothing),
    )  # fmt: skip
