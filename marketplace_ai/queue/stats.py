"""Statistics of the queue: what waits, and for how long."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.db import connections

from marketplace_ai.db.alias import alias

#: Rows counted of each kind: a backfill may have millions waiting, and nobody reads that number.
LARGEST_COUNT = 100_000

# Fresh rows are found by the two partial indexes, of claimable and of claimed rows.
QUEUE_COUNTS = """
SELECT (SELECT count(*) FROM (
            SELECT FROM marketplace_ai_queuedposting WHERE failed_at IS NULL LIMIT %(bound)s
        ) AS queued),
       (SELECT count(*) FROM (
            SELECT FROM marketplace_ai_queuedposting
            WHERE failed_at IS NULL AND token IS NOT NULL LIMIT %(bound)s
        ) AS claimed),
       (SELECT count(*) FROM (
            SELECT FROM marketplace_ai_queuedposting WHERE failed_at IS NOT NULL LIMIT %(bound)s
        ) AS failed),
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

# Isolated rows with an error that was not counted: something else than their posting stops them.
# In the words of the two partial indexes of claimable rows, where isolated ones are few.
POSTPONED = """
SELECT count(*), coalesce(max(last_error), '') FROM (
    (SELECT last_error FROM marketplace_ai_queuedposting
     WHERE token IS NULL AND failed_at IS NULL AND encoder_id IS NULL
       AND is_isolated AND attempts = 0 AND last_error <> ''
     LIMIT %(bound)s)
    UNION ALL
    (SELECT last_error FROM marketplace_ai_queuedposting
     WHERE token IS NULL AND failed_at IS NULL
       AND encoder_id = ANY(ARRAY(SELECT id FROM marketplace_ai_encoder))
       AND is_isolated AND attempts = 0 AND last_error <> ''
     LIMIT %(bound)s)
) AS postponed
"""

# The log has no index and is read from its beginning, where the oldest changes are.
CHANGE_LOG_COUNTS = """
SELECT count(*) FILTER (WHERE posting_id IS NOT NULL), count(*) FILTER (WHERE posting_id IS NULL),
       now() - min(logged_at) FILTER (WHERE posting_id IS NOT NULL)
FROM (SELECT posting_id, logged_at FROM marketplace_ai_postingchange LIMIT %(bound)s) AS change
"""

# The session whose old snapshot keeps vacuum from removing dead rows. Without the right to see
# other users' sessions (pg_monitor), only one's own are found.
OLDEST_TRANSACTION = """
SELECT pid, coalesce(usename, ''), coalesce(application_name, ''), now() - xact_start
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
  AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)
  AND backend_type = 'client backend' AND xact_start < now() - make_interval(secs => %(age)s)
ORDER BY xact_start LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class OpenTransaction:
    """A session's transaction that has been open for long."""

    pid: int
    user: str
    application: str
    age: dt.timedelta


@dataclass(frozen=True, slots=True)
class QueueHealth:
    """Counts of postings, none above ``LARGEST_COUNT + 1``; ``format_count`` shows them to people.

    ``oldest`` is the age of the oldest fresh posting that is not decided yet; ``postponed`` wait
    for the end of a mistake in the set-up, ``postponed_error``.
    """

    logged: int
    queued: int
    claimed: int
    failed: int
    rescans: int
    postponed: int
    postponed_error: str
    oldest: dt.timedelta


def format_count(count: int) -> int | str:
    """A count for people: ``100,000+`` where counting stopped."""
    return count if count <= LARGEST_COUNT else f"{LARGEST_COUNT:,}+"


def oldest_transaction(age: dt.timedelta) -> OpenTransaction | None:
    """The oldest transaction open for longer than ``age`` that holds back vacuum."""
    with connections[alias()].cursor() as cursor:
        cursor.execute(OLDEST_TRANSACTION, {"age": age.total_seconds()})
        row = cursor.fetchone()
    return OpenTransaction(*row) if row else None


def queue_health() -> QueueHealth:
    """The counts and ages now, by the database's clock."""
    with connections[alias()].cursor() as cursor:
        cursor.execute(QUEUE_COUNTS, {"bound": LARGEST_COUNT + 1})
        queued, claimed, failed, oldest_queued = cursor.fetchone()
        cursor.execute(POSTPONED, {"bound": LARGEST_COUNT + 1})
        postponed, postponed_error = cursor.fetchone()
        cursor.execute(CHANGE_LOG_COUNTS, {"bound": LARGEST_COUNT + 1})
        logged, rescans, oldest_logged = cursor.fetchone()
    nothing = dt.timedelta()
    return QueueHealth(
        logged, queued, claimed, failed, rescans, postponed, postponed_error,
        max(oldest_queued or nothing, oldest_logged or nothing),
    )  # fmt: skip
