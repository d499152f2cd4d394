"""Backfill: requesting, stopping and counting it, and which postings it queues.

A request is a table scan (``TableScan``); workers take a step of it between batches, so it outlives
the command that asked for it, and the queue stays short.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connections, transaction
from django.db.models import DateTimeField, Exists, OuterRef, Q
from django.db.models.functions import Now
from django.utils import timezone

from marketplace_ai.adapter import get_adapter
from marketplace_ai.db.alias import alias
from marketplace_ai.models import (
    Decision,
    Encoder,
    EncoderState,
    PostingEmbedding,
    Priority,
    QueuedPosting,
    ScanPurpose,
    TableScan,
    get_job_model,
)
from marketplace_ai.text.normalize import digest

from . import sql

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import QuerySet

    from marketplace_ai.adapter import JobAdapter

#: Postings scanned and queued in one transaction: short enough that nothing waits for it.
SCAN_STEP = 1000
#: A larger table is not counted; the planner's estimate is used instead.
MAX_COUNTED_ROWS = 1_000_000


def missing(
    encoder: Encoder, since: dt.date | None = None, *, vectors_only: bool = False
) -> QuerySet[Any]:
    """Postings without a vector of ``encoder`` that are not queued for one. If the encoder is
    active and ``vectors_only`` is false, postings without a decision too, or with one for a
    category that was deleted since."""
    is_queued = QueuedPosting.objects.filter(
        posting_id=OuterRef("pk"), encoder=queue_encoder_id(encoder)
    )
    return _missing_vector_or_decision(encoder, since, vectors_only).exclude(Exists(is_queued))


def _missing_vector_or_decision(
    encoder: Encoder, since: dt.date | None, vectors_only: bool
) -> QuerySet[Any]:
    decisions = Decision.objects.current().filter(posting_id=OuterRef("pk"))
    # A blank posting has a decision and never a vector.
    lacks = Q(~Exists(_vectors(encoder)), ~Exists(decisions.filter(encoder=encoder)))
    if encoder.state == EncoderState.ACTIVE and not vectors_only:
        # A former candidate has vectors of postings that were never decided.
        lacks |= Q(~Exists(decisions.not_orphaned()))
    return _postings(since).filter(lacks)


def _vectors(encoder: Encoder) -> QuerySet[PostingEmbedding]:
    return PostingEmbedding.objects.filter(posting_id=OuterRef("pk"), encoder=encoder)


def _postings(since: dt.date | None) -> QuerySet[Any]:
    adapter = get_adapter()
    # Not from a replica, where neither postings nor vectors may have arrived yet.
    jobs = adapter.jobs().using(alias())
    if since is not None:
        jobs = jobs.filter(**{f"{adapter.created_field}__gte": start_of(since, adapter)})
    return jobs


def find_missing(
    scan: TableScan, encoder: Encoder, keys: list[Any], *, queued: bool = False
) -> list[Any]:
    """Those of ``keys`` that this backfill queues, in order; with ``queued``, including those in
    the queue."""
    if queued:
        jobs = _missing_vector_or_decision(encoder, scan.since, scan.is_vector_only)
    else:
        jobs = missing(encoder, scan.since, vectors_only=scan.is_vector_only)
    return list(jobs.filter(pk__in=keys).order_by("pk").values_list("pk", flat=True))


def queue_encoder_id(encoder: Encoder) -> int | None:
    """``encoder_id`` of the encoder's queue rows: None for the active encoder."""
    return None if encoder.state == EncoderState.ACTIVE else encoder.pk


def start_of(day: dt.date, adapter: JobAdapter) -> dt.date | dt.datetime:
    """The start of the day in the project's time zone, as the project's field stores it."""
    field = get_job_model()._meta.get_field(str(adapter.created_field))
    if not isinstance(field, DateTimeField):
        return day
    start = dt.datetime.combine(day, dt.time.min)
    return timezone.make_aware(start) if settings.USE_TZ else start


def count(
    encoder: Encoder, since: dt.date | None = None, *, vectors_only: bool = False
) -> tuple[int, bool]:
    """How many are missing, and whether that is an estimate, as for a large table."""
    if _is_small():
        return missing(encoder, since, vectors_only=vectors_only).count(), False
    # The planner treats decisions and vectors as independent, so only one condition is estimated.
    return estimate_rows(_postings(since).exclude(Exists(_vectors(encoder)))), True


def count_all() -> tuple[int, bool]:
    """How many postings a new encoder needs, which is all of them; and whether it is estimated."""
    jobs = get_adapter().jobs().using(alias())
    return (jobs.count(), False) if _is_small() else (estimate_rows(jobs), True)


def _is_small() -> bool:
    return estimate_rows(get_job_model()._base_manager.using(alias()).all()) <= MAX_COUNTED_ROWS


def estimate_rows(rows: QuerySet[Any]) -> int:
    """How many rows the query planner expects."""
    plan = json.loads(rows.order_by().values("pk").explain(format="json"))
    return int(plan[0]["Plan"]["Plan Rows"])


def request(
    encoder: Encoder,
    *,
    since: dt.date | None = None,
    at_most: int | None = None,
    vectors_only: bool = False,
    total: int = 0,
    estimated: bool = False,
) -> tuple[TableScan, bool]:
    """Request a backfill; its table scan, and whether it is new.

    Requesting one that is in progress, or was stopped, resumes it.

    ``since``: only postings created from that day on; ``at_most``: how many to queue;
    ``vectors_only``: without decisions; ``total`` and ``estimated``: what ``count`` returned.
    """
    table_scans = TableScan.objects.using(alias())
    scan, is_new = table_scans.get_or_create(
        purpose=ScanPurpose.BACKFILL,
        encoder=encoder,
        since=since,
        row_limit=at_most,
        is_vector_only=vectors_only,
        finished_at=None,
        defaults={
            "total": total,
            "is_estimated": estimated,
            "requested_at": Now(),
            "advanced_at": Now(),
            "scheduled_at": Now(),
        },
    )
    if not is_new:
        table_scans.filter(pk=scan.pk, stopped_at__isnull=False).update(
            stopped_at=None, advanced_at=Now()
        )
    scan.refresh_from_db(using=alias())
    return scan, is_new


def stop(encoder: Encoder) -> int:
    """Stop all backfills of this encoder where they are; how many were stopped."""
    table_scans = TableScan.objects.using(alias()).unfinished()
    return table_scans.filter(
        purpose=ScanPurpose.BACKFILL, encoder=encoder, stopped_at__isnull=True
    ).update(stopped_at=Now())


def queued_rows(encoder: Encoder | None = None) -> QuerySet[QueuedPosting]:
    """Low-priority rows still in the queue, for the active encoder or the given one."""
    rows = QueuedPosting.objects.using(alias()).remaining().filter(priority=Priority.BACKFILL)
    return rows.filter(encoder=None if encoder is None else queue_encoder_id(encoder))


def queue_all(jobs: QuerySet[Any]) -> int:
    """Queue these postings now, in the order of their keys; how many were queued."""
    total, last = 0, None
    while True:
        remaining = jobs if last is None else jobs.filter(pk__gt=last)
        ids = list(remaining.order_by("pk").values_list("pk", flat=True)[:SCAN_STEP])
        if not ids:
            return total
        with transaction.atomic(using=alias()):
            queue(ids)
        total, last = total + len(ids), ids[-1]


def queue_changed_texts(
    encoder: Encoder,
    *,
    dry_run: bool = False,
    progress: Callable[[int], None] = lambda scanned: None,
) -> int:
    """Queue postings whose text is no longer the encoded one; how many were queued.

    For a change in how texts are prepared. Reads every posting that has a vector.
    """
    adapter = get_adapter()
    total, last = 0, None
    while True:
        embeddings = PostingEmbedding.objects.using(alias()).filter(encoder=encoder)
        embeddings = embeddings if last is None else embeddings.filter(posting_id__gt=last)
        step = dict(
            embeddings.order_by("posting_id").values_list("posting_id", "text_digest")[:SCAN_STEP]
        )
        if not step:
            return total
        last = next(reversed(step))
        jobs = adapter.jobs().filter(pk__in=list(step))
        stale = [
            job.pk for job in jobs if digest(adapter.encoder_input(job)) != bytes(step[job.pk])
        ]
        if stale and not dry_run:
            with transaction.atomic(using=alias()):
                queue(stale)
                queue_for_candidates(stale)
        total += len(stale)
        progress(len(step))


def queue(
    jobs: list[Any], *, encoder_id: int | None = None, vectors_only: bool = False
) -> tuple[list[int], list[Any]]:
    """Queue these postings at low priority, inside a transaction.

    Returns the new rows' ids, and the postings that the project holds locked (or that were
    deleted).
    """
    with connections[alias()].cursor() as cursor:
        cursor.execute(
            sql.statement(sql.QUEUE_POSTINGS),
            {"jobs": jobs, "queue_encoder": encoder_id, "vector_only": vectors_only},
        )
        rows, locked = cursor.fetchone()
    return list(rows), list(locked)


def queue_for_candidates(jobs: list[Any]) -> None:
    """Queue these postings for each candidate as well, after ``queue`` and in its transaction,
    as the intake does for changes in the log."""
    for encoder in Encoder.objects.using(alias()).candidates().order_by("pk"):
        queue(jobs, encoder_id=encoder.pk, vectors_only=True)
