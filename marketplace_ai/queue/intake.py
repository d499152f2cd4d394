"""Intake: moves changes from the triggers' log to the queue."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.db import connections, transaction

from marketplace_ai.db.alias import alias

from . import row_security, sql

#: Log rows moved in one transaction, between two batches of postings: some 100 ms of work, so that
#: a load of millions delays neither what is due nor a stop.
STEP_ROWS = 2000

START = "(0,0)"


class Intake:
    """Passes over the change log, one step at a time.

    Changes of postings that the project holds locked stay for the next pass; the changes behind
    them are read anyway.
    """

    def __init__(self) -> None:
        self._position = START
        self._unseen = row_security.UnseenChanges()
        self._hidden_so_far: Counter[Any] = Counter()
        #: Postings that row level security hides, as of the last whole pass, and their changes in
        #: the log.
        self.hidden, self.hidden_changes = 0, 0

    def collect_next(self) -> int:
        """Move the next changes of this pass; how many postings were queued."""
        statement = sql.statement(sql.QUEUE_CHANGES)
        connection = connections[alias()]
        with transaction.atomic(using=alias()), connection.cursor() as cursor:
            cursor.execute(statement, {"after": self._position, "limit": STEP_ROWS})
            read, last, _deleted, queued, unseen = cursor.fetchone()
        self._hidden_so_far += self._unseen.hidden(unseen)
        self._position = last if read == STEP_ROWS else START
        if self.is_between_passes:
            self.hidden = len(self._hidden_so_far)
            self.hidden_changes = self._hidden_so_far.total()
            self._hidden_so_far.clear()
        return int(queued)

    @property
    def is_between_passes(self) -> bool:
        return self._position == START


def collect() -> int:
    """Make one whole pass over the change log; how many postings were queued."""
    intake = Intake()
    total = intake.collect_next()
    while not intake.is_between_passes:
        total += intake.collect_next()
    return total
