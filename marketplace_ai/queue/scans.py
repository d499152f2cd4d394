"""How workers share a walk over the postings: a step each, by key, behind everything fresh.

A step is one transaction that holds the walk's row: what it queues and where it came to are
committed together, so a worker that is killed leaves nothing half, and nobody does it twice.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import connections, transaction
from django.db.models import F, Q, Value
from django.db.models.functions import Least, Now

from marketplace_ai.conf import conf
from marketplace_ai.db import advisory_locks
from marketplace_ai.db.alias import alias
from marketplace_ai.models import EncoderState, QueuedPosting, ScanPurpose, TableScan, get_job_model

from . import backfill, reconcile, sql

if TYPE_CHECKING:
    from collections.abc import Callable

    from marketplace_ai.models import Encoder

logger = logging.getLogger(__name__)

LOOKS = {ScanPurpose.BACKFILL: backfill, ScanPurpose.RECONCILE: reconcile}
#: Postings that their host holds locked are looked at again after this many seconds.
HELD_DELAY = 1.0
#: A longer time between two steps counts as this long: there was no worker.
LONGEST_GAP = dt.timedelta(minutes=10)
#: Whether a search is due is looked at this often, in seconds.
DUE_SECONDS = 10.0
#: Pause after a step that failed, in seconds: a walk must not cost fresh postings anything.
REST_SECONDS = 60.0


class Walker:
    """The part of a drainer that goes a step further after each batch."""

    def __init__(self) -> None:
        self._next_look = self._resting_until = 0.0

    def step(self, encoder: Encoder) -> bool:
        """One step on what is under way; whether there was one to go."""
        now = time.monotonic()
        if now < self._resting_until:
            return False
        try:
            if now >= self._next_look and encoder.state == EncoderState.ACTIVE:
                reconcile.begin(encoder)
                self._next_look = now + DUE_SECONDS
            return step(encoder)
        except Exception:
            logger.exception("A walk over the postings failed; it goes on in %d s", REST_SECONDS)
            self._resting_until = now + REST_SECONDS
            return False


def step(encoder: Encoder) -> bool:
    """Go a step further on the walk whose turn it is; whether there was one to go.

    There is none where another worker is at it, or where the queue holds enough of it.
    """
    with transaction.atomic(using=alias()):
        walk = _next(encoder)
        if walk is None or not _has_room(encoder):
            return False
        began = time.monotonic()
        look = LOOKS[ScanPurpose(walk.purpose)]
        held = [_key(text) for text in walk.locked_keys]
        # Where very many are held, as by a DELETE of millions, those come first.
        window = _keys_after(walk, look.STEP) if len(held) < look.STEP else []
        at_end = len(window) < look.STEP and len(held) < look.STEP
        found = look.find(walk, encoder, [*held, *window])
        last = window[-1] if window else None
        room = len(found) if walk.row_limit is None else walk.row_limit - walk.queued_count
        if room < len(found):
            found, at_end = found[:room], False
            last = found[-1]
        queued, held = _queue(walk, encoder, look.find, found)
        enough = walk.row_limit is not None and walk.queued_count + queued >= walk.row_limit
        pause = 0.0
        if walk.purpose == ScanPurpose.RECONCILE:
            pause = (time.monotonic() - began) * reconcile.PAUSE
        elif held and (at_end or not window):
            pause = HELD_DELAY
        TableScan.objects.using(alias()).filter(pk=walk.pk).update(
            last_key=walk.last_key if last is None else str(last),
            locked_keys=[str(key) for key in held],
            scanned_count=F("scanned_count") + len(window),
            queued_count=F("queued_count") + queued,
            time_spent=F("time_spent") + Least(Now() - F("advanced_at"), Value(LONGEST_GAP)),
            advanced_at=Now(),
            scheduled_at=Now() + dt.timedelta(seconds=pause),
            finished_at=Now() if enough or (at_end and not held) else None,
        )
    return True


def _next(encoder: Encoder) -> TableScan | None:
    """The walk to go on with, locked."""
    mine = Q(encoder=encoder)
    if encoder.state == EncoderState.ACTIVE:
        mine |= Q(encoder__isnull=True)
    walks = TableScan.objects.using(alias()).unfinished()
    # A search first: it pauses by itself, and a backfill would leave it no room.
    return (
        walks.filter(mine, stopped_at__isnull=True, scheduled_at__lte=Now())
        .order_by("-purpose", "pk")
        .select_for_update(skip_locked=True)
        .first()
    )


def _has_room(encoder: Encoder) -> bool:
    encoder_id = backfill.queued_for(encoder)
    values = {
        "limit": conf.backfill_batches * conf.batch_size,
        "liveness": advisory_locks.LIVENESS,
        "encoder": encoder_id,
    }
    with connections[alias()].cursor() as cursor:
        cursor.execute(sql.statement(sql.ROOM, for_encoder=encoder_id is not None), values)
        return bool(cursor.fetchone()[0])


def _keys_after(walk: TableScan, number: int) -> list[Any]:
    """The next keys of the table itself: the adapter's own choice may be few of them."""
    jobs = get_job_model()._base_manager.using(alias())
    if walk.last_key is not None:
        jobs = jobs.filter(pk__gt=_key(walk.last_key))
    return list(jobs.order_by("pk").values_list("pk", flat=True)[:number])


def _key(text: str) -> Any:
    pk = get_job_model()._meta.pk
    assert pk is not None  # noqa: S101 (every model has one)
    return pk.to_python(text)


def _queue(
    walk: TableScan, encoder: Encoder, find: Callable[..., list[Any]], found: list[Any]
) -> tuple[int, list[Any]]:
    """How many were queued, and the postings that their host held locked."""
    if not found:
        return 0, []
    rows, held = backfill.queue(
        found, encoder_id=backfill.queued_for(encoder), vectors_only=walk.is_vector_only
    )
    if walk.purpose == ScanPurpose.RECONCILE:
        backfill.queue_beside(found)
    # Between the look and its row in the queue another worker may have done all that a posting
    # lacked, and it would be decided twice. From the row on nobody can, so this look is the last.
    lacking = find(walk, encoder, found, queued=True)
    queued = QueuedPosting.objects.using(alias()).filter(pk__in=rows)
    done, _ = queued.exclude(posting_id__in=lacking).delete()
    return len(rows) - done, held


@dataclass(frozen=True, slots=True)
class Progress:
    """``rate`` in postings a second, while workers ran; ``left`` is None before it is known."""

    done: int
    total: int
    rate: float
    left: dt.timedelta | None


def progress(walk: TableScan, waiting: int) -> Progress:
    """How far a walk is, with ``waiting`` postings of its encoder queued and not worked off."""
    done = walk.scanned_count if walk.purpose == ScanPurpose.RECONCILE else walk.queued_count - waiting
    done = max(done, 0)
    seconds = walk.time_spent.total_seconds()
    rate = done / seconds if seconds > 0 else 0.0
    rest = max(walk.total - done, 0)
    return Progress(
        done, walk.total, rate, dt.timedelta(seconds=int(rest / rate)) if rate else None
    )
