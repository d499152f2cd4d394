"""Table scans: how workers share a backfill or reconcile run, one step each, by key.

A step is one transaction that locks the scan's row: what it queues and its new position are
committed together, so a killed worker leaves nothing half done, and nothing is done twice.
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
from marketplace_ai.db.error_kind import DATABASE_ERRORS, describe
from marketplace_ai.models import EncoderState, QueuedPosting, ScanPurpose, TableScan, get_job_model

from . import backfill, reconcile, sql
from .retry_policy import LOCKED_POSTING_SECONDS, TABLE_SCAN_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from marketplace_ai.models import Encoder

logger = logging.getLogger(__name__)

SCAN_MODULES = {ScanPurpose.BACKFILL: backfill, ScanPurpose.RECONCILE: reconcile}
#: A longer time between two steps counts as this long: no worker was running.
LONGEST_GAP = dt.timedelta(minutes=10)
#: Whether a reconcile run is due is checked this often, in seconds.
RECONCILE_CHECK_SECONDS = 10.0


class TableScanner:
    """A worker's part in table scans: one step after each batch. ``clean``: see ``advance``."""

    def __init__(self, clean: Callable[[Any, Any], object] | None = None) -> None:
        self._clean = clean
        self._next_reconcile_check = self._paused_until = 0.0

    def run_once(self, encoder: Encoder) -> bool:
        """Take one step of an unfinished scan; whether there was one to take."""
        now = time.monotonic()
        if now < self._paused_until:
            return False
        try:
            if now >= self._next_reconcile_check and encoder.state == EncoderState.ACTIVE:
                reconcile.start_round(encoder)
                self._next_reconcile_check = now + RECONCILE_CHECK_SECONDS
            return advance(encoder, self._clean)
        except Exception as error:
            trace = None if isinstance(error, DATABASE_ERRORS) else error
            logger.warning(
                "A table scan failed: %s; it resumes in %d s",
                describe(error), TABLE_SCAN_SECONDS, exc_info=trace,
            )  # fmt: skip
            self._paused_until = now + TABLE_SCAN_SECONDS
            return False


def advance(encoder: Encoder, clean: Callable[[Any, Any], object] | None = None) -> bool:
    """Take one step of the next unfinished scan; whether there was one to take.

    There is none if another worker is at it, or if enough of it waits in the queue. ``clean`` is
    called in the transaction of each step of a reconcile run, with the keys that the step began
    after and ended with; the last of them is None at the end.
    """
    with transaction.atomic(using=alias()):
        scan = _lock_next_scan(encoder)
        if scan is None or not _has_capacity(encoder):
            return False
        started_at = time.monotonic()
        kind = SCAN_MODULES[ScanPurpose(scan.purpose)]
        locked = [_key(text) for text in scan.locked_keys]
        # If very many were locked, as by a DELETE of millions, those come first.
        window = _keys_after(scan, kind.SCAN_STEP) if len(locked) < kind.SCAN_STEP else []
        at_end = len(window) < kind.SCAN_STEP and len(locked) < kind.SCAN_STEP
        missing = kind.find_missing(scan, encoder, [*locked, *window])
        last = window[-1] if window else None
        if clean and scan.purpose == ScanPurpose.RECONCILE and (window or at_end):
            low = None if scan.last_key is None else _key(scan.last_key)
            clean(low, None if at_end else last)
        room = len(missing) if scan.row_limit is None else scan.row_limit - scan.queued_count
        if room < len(missing):
            missing, at_end = missing[:room], False
            last = missing[-1]
        queued, locked = _queue(scan, encoder, kind.find_missing, missing)
        is_complete = scan.row_limit is not None and scan.queued_count + queued >= scan.row_limit
        pause = 0.0
        if scan.purpose == ScanPurpose.RECONCILE:
            pause = (time.monotonic() - started_at) * reconcile.PAUSE_FACTOR
        elif locked and (at_end or not window):
            pause = LOCKED_POSTING_SECONDS
        TableScan.objects.using(alias()).filter(pk=scan.pk).update(
            last_key=scan.last_key if last is None else str(last),
            locked_keys=[str(key) for key in locked],
            scanned_count=F("scanned_count") + len(window),
            queued_count=F("queued_count") + queued,
            time_spent=F("time_spent") + Least(Now() - F("advanced_at"), Value(LONGEST_GAP)),
            advanced_at=Now(),
            scheduled_at=Now() + dt.timedelta(seconds=pause),
            finished_at=Now() if is_complete or (at_end and not locked) else None,
        )
    return True


def _lock_next_scan(encoder: Encoder) -> TableScan | None:
    """The next scan to advance, locked."""
    mine = Q(encoder=encoder)
    if encoder.state == EncoderState.ACTIVE:
        mine |= Q(encoder__isnull=True)
    table_scans = TableScan.objects.using(alias()).unfinished()
    # Reconcile runs first: they pause by themselves, and a backfill would leave them no capacity.
    return (
        table_scans.filter(mine, stopped_at__isnull=True, scheduled_at__lte=Now())
        .order_by("-purpose", "pk")
        .select_for_update(skip_locked=True)
        .first()
    )


def _has_capacity(encoder: Encoder) -> bool:
    encoder_id = backfill.queue_encoder_id(encoder)
    values = {
        "limit": conf.backfill_max_queued_batches * conf.claim_size,
        "liveness": advisory_locks.LIVENESS,
        "encoder": encoder_id,
    }
    with connections[alias()].cursor() as cursor:
        cursor.execute(sql.statement(sql.HAS_CAPACITY, for_encoder=encoder_id is not None), values)
        return bool(cursor.fetchone()[0])


def _keys_after(scan: TableScan, number: int) -> list[Any]:
    """The next keys of the table itself: the adapter may select few of them."""
    jobs = get_job_model()._base_manager.using(alias())
    if scan.last_key is not None:
        jobs = jobs.filter(pk__gt=_key(scan.last_key))
    return list(jobs.order_by("pk").values_list("pk", flat=True)[:number])


def _key(text: str) -> Any:
    pk = get_job_model()._meta.pk
    assert pk is not None  # noqa: S101 (every model has one)
    return pk.to_python(text)


def _queue(
    scan: TableScan, encoder: Encoder, find_missing: Callable[..., list[Any]], missing: list[Any]
) -> tuple[int, list[Any]]:
    """Queue the postings; how many were queued, and those that the project holds locked."""
    if not missing:
        return 0, []
    rows, locked = backfill.queue(
        missing, encoder_id=backfill.queue_encoder_id(encoder), vectors_only=scan.is_vector_only
    )
    if scan.purpose == ScanPurpose.RECONCILE:
        backfill.queue_for_candidates(missing)
    # Before the posting got its queue row, another worker may have done all that it lacked, and it
    # would be decided twice. With the row nobody can, so it is checked once more.
    still_missing = find_missing(scan, encoder, missing, queued=True)
    queued = QueuedPosting.objects.using(alias()).filter(pk__in=rows)
    done, _ = queued.exclude(posting_id__in=still_missing).delete()
    return len(rows) - done, locked


@dataclass(frozen=True, slots=True)
class Progress:
    """``rate``: postings per second while workers ran; ``left``: time remaining, None while
    unknown."""

    done: int
    total: int
    rate: float
    left: dt.timedelta | None


def progress(scan: TableScan, waiting: int) -> Progress:
    """Progress of a scan, with ``waiting`` postings of its encoder still in the queue."""
    done = (
        scan.scanned_count if scan.purpose == ScanPurpose.RECONCILE else scan.queued_count - waiting
    )
    done = max(done, 0)
    seconds = scan.time_spent.total_seconds()
    rate = done / seconds if seconds > 0 else 0.0
    remaining = max(scan.total - done, 0)
    return Progress(
        done, scan.total, rate, dt.timedelta(seconds=int(remaining / rate)) if rate else None
    )
