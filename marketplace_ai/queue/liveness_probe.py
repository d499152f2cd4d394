"""Whether the drainer of this machine gets on, asked by another process that stands beside it."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from django.db import connections

from marketplace_ai.db import advisory_locks
from marketplace_ai.db.alias import alias

# Each turn of a drainer begins with a statement on the connection that holds its lock, so the
# time since the last one is the length of the turn it is in; in its first one, in which it loads
# its encoder, that statement is the lock's. PostgreSQL cuts the name off.
TURN = """
SELECT extract(epoch FROM max(clock_timestamp() - activity.state_change))::float8,
       bool_or(activity.query LIKE '%%pg_try_advisory_lock%%')
FROM pg_locks AS lock JOIN pg_stat_activity AS activity ON activity.pid = lock.pid
WHERE lock.locktype = 'advisory' AND lock.granted AND lock.objsubid = 2
  AND lock.classid = %(liveness)s::oid
  AND lock.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND starts_with(activity.application_name, %(name)s::name::text)
"""


@dataclass(frozen=True, slots=True)
class Turn:
    """What a drainer is in: for how many seconds, and whether it is its first one."""

    seconds: float
    first: bool


def turn() -> Turn | None:
    """The turn of this machine's drainer, or None where none lives; of several drainers the
    longest turn, and whether any is in its first. The machine is told by its host name."""
    with connections[alias()].cursor() as cursor:
        name = f"marketplace_ai drainer {socket.gethostname()}:"
        cursor.execute(TURN, {"liveness": advisory_locks.LIVENESS, "name": name})
        seconds, first = cursor.fetchone()
    return None if seconds is None else Turn(seconds, first)
