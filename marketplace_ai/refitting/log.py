"""The log of refits, and the lock that lets one run at a time."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from django.db import DatabaseError, connections
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext

from marketplace_ai.db import advisory_locks
from marketplace_ai.db.alias import alias
from marketplace_ai.models import Refit, RefitOutcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import QuerySet

    from marketplace_ai.models import ClassifierVersion, Encoder

#: Outcomes after which it is known what a fit gives; a failed or interrupted one is tried again.
CONCLUDED = (
    RefitOutcome.ACTIVATED, RefitOutcome.PROPOSED, RefitOutcome.REFUSED, RefitOutcome.UNDONE,
)  # fmt: skip


class AlreadyRunningError(Exception):
    """Another process is running a refit."""


@contextmanager
def exclusive() -> Iterator[None]:
    """Hold the lock of refits, and settle what a killed one has left.

    Raises AlreadyRunningError if another process holds it. The lock is the session's, so that it
    goes with a process that is killed.
    """
    with connections[alias()].cursor() as cursor:
        if not advisory_locks.try_lock_session(cursor, advisory_locks.REFIT):
            raise AlreadyRunningError(gettext("A refit is running already."))
    try:
        running().update(
            outcome=RefitOutcome.INTERRUPTED, finished_at=Now(),
            error="Its process ended before the fit did.",
        )  # fmt: skip
        yield
    finally:
        # If the connection is lost, so is the lock.
        with suppress(DatabaseError), connections[alias()].cursor() as cursor:
            advisory_locks.unlock_session(cursor, advisory_locks.REFIT)


def is_running() -> bool:
    """Whether some process holds the lock."""
    with connections[alias()].cursor() as cursor:
        return advisory_locks.is_held(cursor, advisory_locks.REFIT)


def running() -> QuerySet[Refit]:
    return Refit.objects.using(alias()).filter(outcome=RefitOutcome.RUNNING)


def latest(encoder: Encoder | None) -> Refit | None:
    """The last refit of an encoder, whatever came of it."""
    return _of(encoder).first()


def latest_concluded(encoder: Encoder | None) -> Refit | None:
    """The last one that came to an end."""
    return _of(encoder).filter(outcome__in=CONCLUDED).first()


def _of(encoder: Encoder | None) -> QuerySet[Refit]:
    # The first one has no encoder, if it came to no end: it is registered meanwhile.
    own = Q(encoder=encoder) | Q(encoder=None)
    return Refit.objects.using(alias()).filter(own).order_by("-pk")


def left_active(refit: Refit | None, version: ClassifierVersion | None) -> bool:
    """Whether the outcome of this refit was that ``version`` (None: none) stays or is again
    active."""
    if refit is None:
        return False
    key = None if version is None else version.pk
    if refit.outcome == RefitOutcome.UNDONE:
        return refit.version_id == key
    kept = (RefitOutcome.PROPOSED, RefitOutcome.REFUSED)
    return refit.outcome in kept and refit.previous_version_id == key
