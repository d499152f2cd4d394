"""Row level security on the project's postings: hidden is not gone.

A posting that a policy hides from the workers' role looks like a deleted one; one that it may see
and not update looks like one that the project holds locked. The change of either stays in the log,
and its row in the queue, until a policy shows it.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from django.db import Error, IntegrityError, connections, transaction

from marketplace_ai.adapter import posting_model_and_pk
from marketplace_ai.db.alias import alias
from marketplace_ai.db.error_kind import sqlstate

from . import sql

if TYPE_CHECKING:
    from collections.abc import Callable

#: A hidden posting is looked at again after this many seconds: it may be deleted since.
RECHECK_SECONDS = 60.0
#: Statements by which postings are sorted at a time, some 0.2 s; the rest waits for the next time.
MAX_PROBES = 200
#: Postings that ``count_hidden`` sorts at once.
PIECE = 2000
#: How long the check of a foreign key waits for a posting that is locked.
LOCK_TIMEOUT = "SET LOCAL lock_timeout = '20ms'"

LOCK_NOT_AVAILABLE, INSUFFICIENT_PRIVILEGE = "55P03", "42501"


class UnseenChanges:
    """What becomes of changes whose postings the intake could not lock."""

    def __init__(self) -> None:
        self._known: set[Any] = set()
        self._forget_at = 0.0

    def hidden(self, not_locked: list[Any]) -> Counter[Any]:
        """The changes of each posting that is hidden; those of deleted ones are forgotten.
        ``not_locked``: the posting of each change."""
        counts = Counter(not_locked)
        if not counts:
            return counts
        if time.monotonic() >= self._forget_at:
            self._known.clear()
            self._forget_at = time.monotonic() + RECHECK_SECONDS
        hidden, deleted = _sort([posting for posting in counts if posting not in self._known])
        self._known |= hidden
        if deleted:
            with connections[alias()].cursor() as cursor:
                cursor.execute(sql.statement(sql.DELETE_CHANGES), {"jobs": list(deleted)})
        return Counter({posting: n for posting, n in counts.items() if posting in self._known})


def is_active() -> bool:
    """Whether a policy may hide postings from this session's role."""
    with connections[alias()].cursor() as cursor:
        cursor.execute(sql.statement(sql.ROW_SECURITY_ACTIVE))
        return bool(cursor.fetchone()[0])


def hidden(postings: list[Any]) -> set[Any]:
    """Which of these a policy keeps from being seen or locked; none where no policy applies. One
    that was deleted counts as well."""
    if not postings or not is_active():
        return set()
    return _not_lockable(postings, _Probes(MAX_PROBES))


def count_hidden(limit: int) -> int:
    """Postings with a change or a row in the queue that are hidden from this session's role, at
    most ``limit``."""
    values = {"bound": limit, "first": PIECE}
    found = _select(sql.UNSEEN, values)
    pieces = [found[start : start + PIECE] for start in range(0, len(found), PIECE)]
    return min(sum(len(_sort(piece)[0]) for piece in pieces), limit)


def complaint(count: int | str) -> tuple[str, str]:
    """What is wrong, and what to do, for the log and for ``doctor``."""
    with connections[alias()].cursor() as cursor:
        cursor.execute("SELECT quote_ident(current_user)")
        role = cursor.fetchone()[0]
    table = connections[alias()].ops.quote_name(posting_model_and_pk()[0]._meta.db_table)
    return (
        f"Row level security hides {count} changed postings from the role {role}; they wait.",
        f"CREATE POLICY ... ON {table} TO {role} USING (true) WITH CHECK (true), or "
        f"ALTER ROLE {role} BYPASSRLS.",
    )


class _Probes:
    """Statements that fail for some of the postings, tried on ever smaller parts."""

    def __init__(self, left: int) -> None:
        self._left = left

    def split(
        self, postings: list[Any], probe: Callable[[list[Any]], set[Any] | None]
    ) -> tuple[set[Any], set[Any]]:
        """What ``probe`` says of parts that it does not fail for (None), and those single postings
        that it fails for. What there are no statements left for is in neither."""
        good: set[Any] = set()
        bad: set[Any] = set()
        parts = [postings] if postings else []
        while parts and self._left:
            self._left -= 1
            part = parts.pop()
            found = probe(part)
            if found is not None:
                good |= found
            elif len(part) == 1:
                bad.update(part)
            else:
                half = len(part) // 2
                parts += [part[half:], part[:half]]
        return good, bad


def _sort(postings: list[Any]) -> tuple[set[Any], set[Any]]:
    """Those that are hidden, and those that were deleted. Locked ones are neither, nor those that
    must wait for the next time."""
    probes = _Probes(MAX_PROBES)
    kept_away = _not_lockable(postings, probes)
    if not kept_away:
        return set(), set()
    visible = set(_select(sql.VISIBLE, {"jobs": list(kept_away)}))
    there, missing = probes.split([p for p in postings if p in kept_away - visible], _referred_to)
    return visible | there, missing


def _not_lockable(postings: list[Any], probes: _Probes) -> set[Any]:
    """Those that are not seen or may not be locked, though nobody holds them locked."""
    return probes.split(postings, _failing_to_lock)[0]


def _failing_to_lock(postings: list[Any]) -> set[Any] | None:
    """Those that no lock is to be had of, or None: one of them is locked by somebody else."""
    try:
        with transaction.atomic(using=alias()):
            lockable = _select(sql.LOCKABLE, {"jobs": postings})
            transaction.set_rollback(True, using=alias())
    except Error as error:
        if sqlstate(error) == LOCK_NOT_AVAILABLE:
            return None
        raise
    return set(postings).difference(lockable)


def _referred_to(postings: list[Any]) -> set[Any] | None:
    """These, if a row that refers to each could be stored; None if one was deleted.

    The foreign key is checked as the owner of the postings, from whom nothing is hidden. Where it
    would have to wait, or this role may not write, they count as there.
    """
    try:
        with transaction.atomic(using=alias()), connections[alias()].cursor() as cursor:
            cursor.execute(LOCK_TIMEOUT)
            cursor.execute(sql.statement(sql.REFER_TO), {"jobs": postings})
            transaction.set_rollback(True, using=alias())
    except IntegrityError:
        return None
    except Error as error:
        if sqlstate(error) not in (LOCK_NOT_AVAILABLE, INSUFFICIENT_PRIVILEGE):
            raise
    return set(postings)


def _select(template: str, values: dict[str, Any]) -> list[Any]:
    with connections[alias()].cursor() as cursor:
        cursor.execute(sql.statement(template), values)
        return [key for (key,) in cursor.fetchall()]
