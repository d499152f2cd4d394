"""From the triggers' log to the queue."""

from __future__ import annotations

from django.db import connections, transaction

from marketplace_ai.db.alias import alias

from . import sql

#: Log rows folded in one transaction, between two batches of postings: some 100 ms of work, so
#: that a load of millions delays neither what is due nor a stop.
BATCH = 2000

START = "(0,0)"


class Intake:
    """Passes over the log, a step at a time.

    Rows of postings that the host holds locked stay for the next pass and keep nobody behind
    them from being read.
    """

    def __init__(self) -> None:
        self._place = START

    def step(self) -> int:
        """Fold the next rows of this pass; how many postings were queued."""
        statement = sql.statement(sql.INTAKE)
        connection = connections[alias()]
        with transaction.atomic(using=alias()), connection.cursor() as cursor:
            cursor.execute(statement, {"after": self._place, "limit": BATCH})
            seen, last, _done, queued = cursor.fetchone()
        self._place = last if seen == BATCH else START
        return int(queued)

    @property
    def between_passes(self) -> bool:
        return self._place == START


def collect() -> int:
    """One whole pass over the log as it stands; how many postings were queued."""
    intake = Intake()
    total = intake.step()
    while not intake.between_passes:
        total += intake.step()
    return total
