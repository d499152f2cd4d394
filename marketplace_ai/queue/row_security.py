"""Row level security on the project's postings: hidden is not gone.

A posting that a policy hides from the workers' role looks like a deleted one. Its change stays in
the log, and its row in the queue, until a policy shows it.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from django.db import IntegrityError, connections, transaction

from marketplace_ai.adapter import posting_model_and_pk
from marketplace_ai.db.alias import alias

from . import sql

#: Deleted postings are told from hidden ones this often, in seconds: it writes, and undoes it.
TELL_APART_SECONDS = 60.0


class UnseenChanges:
    """The changes of postings that the workers' role does not see, and what deleted ones cost."""

    def __init__(self) -> None:
        self._next = 0.0

    def hidden(self, unseen: list[Any]) -> Counter[Any]:
        """The changes of each of these postings that is hidden; those of the deleted ones are
        forgotten. ``unseen``: the posting of each change."""
        counts = Counter(unseen)
        if not unseen or time.monotonic() < self._next:
            return counts
        self._next = time.monotonic() + TELL_APART_SECONDS
        deleted = _deleted(list(counts))
        if deleted:
            with connections[alias()].cursor() as cursor:
                cursor.execute(sql.statement(sql.DELETE_CHANGES), {"jobs": deleted})
        for posting in deleted:
            del counts[posting]
        return counts


def is_active() -> bool:
    """Whether a policy may hide postings from this session's role."""
    with connections[alias()].cursor() as cursor:
        cursor.execute(sql.statement(sql.ROW_SECURITY_ACTIVE))
        return bool(cursor.fetchone()[0])


def unseen_counts(limit: int) -> int:
    """Postings with a change or a row in the queue that this session's role does not see, at most
    ``limit``."""
    with connections[alias()].cursor() as cursor:
        cursor.execute(sql.statement(sql.COUNT_UNSEEN), {"bound": limit})
        return int(cursor.fetchone()[0])


def complaint(count: int | str) -> str:
    """What is wrong and what to do, in a sentence each, for the log and for ``doctor``."""
    with connections[alias()].cursor() as cursor:
        cursor.execute("SELECT quote_ident(current_user)")
        role = cursor.fetchone()[0]
    table = connections[alias()].ops.quote_name(posting_model_and_pk()[0]._meta.db_table)
    return (
        f"Row level security hides {count} changed postings from the role {role}; they wait. "
        f"CREATE POLICY ... ON {table} TO {role} USING (true) WITH CHECK (true), or "
        f"ALTER ROLE {role} BYPASSRLS."
    )


def _deleted(postings: list[Any]) -> list[Any]:
    """Which of these postings are no longer there, by halving."""
    if _all_there(postings):
        return []
    if len(postings) == 1:
        return postings
    half = len(postings) // 2
    return _deleted(postings[:half]) + _deleted(postings[half:])


def _all_there(postings: list[Any]) -> bool:
    """Whether a row that refers to each could be stored. The foreign key is checked as the owner
    of the postings, from whom nothing is hidden."""
    try:
        with transaction.atomic(using=alias()), connections[alias()].cursor() as cursor:
            cursor.execute(sql.statement(sql.QUEUE_UNSEEN), {"jobs": postings})
            transaction.set_rollback(True, using=alias())
    except IntegrityError:
        return False
    return True
