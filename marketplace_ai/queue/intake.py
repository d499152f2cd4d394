"""From the triggers' log to the queue."""

from __future__ import annotations

from django.db import connections, transaction

from . import sql

#: Log rows folded in one transaction: some 50 ms of work, so nothing waits for it long.
BATCH = 5000


def collect() -> int:
    """One pass over the log; how many postings were queued.

    Goes through the whole log as it stands, in short transactions. Rows of postings that the
    host holds locked stay for the next pass.
    """
    connection = connections[sql.alias()]
    statement = sql.statement(sql.INTAKE)
    place, total = "(0,0)", 0
    while True:
        with transaction.atomic(using=sql.alias()), connection.cursor() as cursor:
            cursor.execute(statement, {"after": place, "limit": BATCH})
            seen, last, _done, queued = cursor.fetchone()
        total += int(queued)
        if seen < BATCH:
            return total
        place = last
