"""Whether the drainer of this machine gets on, asked by another process that stands beside it."""

from __future__ import annotations

import socket

from django.db import connections

from . import sql

# Each turn of a drainer begins with a statement on the connection that holds its lock, so the
# time since the last one is the length of the turn it is in. The name is cut off by PostgreSQL.
SILENCE = """
SELECT extract(epoch FROM max(clock_timestamp() - activity.state_change))::float8
FROM pg_locks AS lock JOIN pg_stat_activity AS activity ON activity.pid = lock.pid
WHERE lock.locktype = 'advisory' AND lock.granted AND lock.objsubid = 2
  AND lock.classid = %(liveness)s::oid
  AND lock.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND starts_with(activity.application_name, %(name)s::name::text)
"""


def silence() -> float | None:
    """Seconds since this machine's drainer began its turn (of several, the one that is in it
    for longest); None where none lives. The machine is told by its host name."""
    with connections[sql.alias()].cursor() as cursor:
        name = f"marketplace_ai drainer {socket.gethostname()}:"
        cursor.execute(SILENCE, {"liveness": sql.LIVENESS_CLASS, "name": name})
        found: float | None = cursor.fetchone()[0]
    return found
