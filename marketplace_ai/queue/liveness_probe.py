"""The liveness probe: whether this machine's worker makes progress, asked by another process."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from django.db import connections

from marketplace_ai.db import advisory_locks
from marketplace_ai.db.alias import alias

from .lease import WORKER_ROLE

# Each iteration of a worker starts with a statement on the connection that holds its lock, so the
# time since the last one is the length of the current iteration. In the first one, in which the
# encoder is loaded, that statement is the lock's. PostgreSQL cuts the application name off.
CURRENT_ITERATION = """
SELECT extract(epoch FROM max(clock_timestamp() - activity.state_change))::float8,
       bool_or(activity.query LIKE '%%pg_try_advisory_lock%%')
FROM pg_locks AS lock JOIN pg_stat_activity AS activity ON activity.pid = lock.pid
WHERE lock.locktype = 'advisory' AND lock.granted AND lock.objsubid = 2
  AND lock.classid = %(liveness)s::oid
  AND lock.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND starts_with(activity.application_name, %(name)s::name::text)
"""


@dataclass(frozen=True, slots=True)
class LoopIteration:
    """What a worker is in: for how many seconds, and whether it is the first iteration."""

    seconds: float
    is_first: bool


def current_iteration() -> LoopIteration | None:
    """The iteration of this machine's worker, or None if none is alive; of several workers the
    longest, and whether any is in its first. The machine is known by its host name."""
    with connections[alias()].cursor() as cursor:
        name = f"marketplace_ai {WORKER_ROLE} {socket.gethostname()}:"
        cursor.execute(CURRENT_ITERATION, {"liveness": advisory_locks.LIVENESS, "name": name})
        seconds, is_first = cursor.fetchone()
    return None if seconds is None else LoopIteration(seconds, is_first)
