"""Which older postings a backfill queues, and how one is asked for, stopped and counted.

A request is a row (``TableScan``); whoever drains the queue goes a step further on it now and then,
so it outlives the command that asked for it, and the queue stays short.
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
from .write import prepared_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import QuerySet

    from marketplace_ai.adapter import JobAdapter

#: Postings looked at, and queued, in one transaction: short enough that nothing waits for it.
STEP = 1000
#: A larger table is not counted: the planner's estimate takes no time.
COUNTED = 1_000_000


def missing(
    encoder: Encoder, since: dt.date | None = None, *, vectors_only: bool = False
) -> QuerySet[Any]:
    """Postings that have no vector of ``encoder``, or where it is active and more than vectors
    are wanted no decision, and are not queued for one."""
    is_queued = QueuedPosting.objects.filter(posting_id=OuterRef("pk"), encoder=queued_for(encoder))
    return _lacking(encoder, since, vectors_only).exclude(Exists(is_queued))


def _lacking(encoder: Encoder, since: dt.date | None, vectors_only: bool) -> QuerySet[Any]:
    decisions = Decision.objects.filter(posting_id=OuterRef("pk"), is_current=True)
    # A blank posting has a decision and never a vector.
    lacks = Q(~Exists(_vectors(encoder)), ~Exists(decisions.filter(encoder=encoder)))
    if encoder.state == EncoderState.ACTIVE and not vectors_only:
        # An encoder that was built beside another has vectors of what nobody ever decided.
        lacks |= Q(~Exists(decisions))
    return _jobs(since).filter(lacks)


def _vectors(encoder: Encoder) -> QuerySet[PostingEmbedding]:
    return PostingEmbedding.objects.filter(posting_id=OuterRef("pk"), encoder=encoder)


def _jobs(since: dt.date | None) -> QuerySet[Any]:
    adapter = get_adapter()
    # Not from a replica, where neither postings nor vectors may have arrived yet.
    jobs = adapter.jobs().using(alias())
    if since is not None:
        jobs = jobs.filter(**{f"{adapter.created_field}__gte": start_of(since, adapter)})
    return jobs


def find(walk: TableScan, encoder: Encoder, keys: list[Any], *, queued: bool = False) -> list[Any]:
    """Those of ``keys`` that this backfill queues, in order; with ``queued`` also those that
    are in the queue."""
    if queued:
        jobs = _lacking(encoder, walk.since, walk.is_vector_only)
    else:
        jobs = missing(encoder, walk.since, vectors_only=walk.is_vector_only)
    return list(jobs.filter(pk__in=keys).order_by("pk").values_list("pk", flat=True))


def queued_for(encoder: Encoder) -> int | None:
    """What its rows of the queue say: nothing for the active encoder, else which one."""
    return None if encoder.state == EncoderState.ACTIVE else encoder.pk


def start_of(day: dt.date, adapter: JobAdapter) -> dt.date | dt.datetime:
    """The day's first moment in the project's time zone, as the host's field holds moments."""
    field = get_job_model()._meta.get_field(str(adapter.created_field))
    if not isinstance(field, DateTimeField):
        return day
    start = dt.datetime.combine(day, dt.time.min)
    return timezone.make_aware(start) if settings.USE_TZ else start


def count(
    encoder: Encoder, since: dt.date | None = None, *, vectors_only: bool = False
) -> tuple[int, bool]:
    """How many are missing, and whether that is an estimate, as it is of a large table."""
    if _is_small():
        return missing(encoder, since, vectors_only=vectors_only).count(), False
    # The planner takes what is decided for independent of what has a vector: both were too much.
    return planned(_jobs(since).exclude(Exists(_vectors(encoder)))), True


def count_all() -> tuple[int, bool]:
    """How many postings a new encoder lacks, which is all of them; and whether it is estimated."""
    jobs = get_adapter().jobs().using(alias())
    return (jobs.count(), False) if _is_small() else (planned(jobs), True)


def _is_small() -> bool:
    return planned(get_job_model()._base_manager.using(alias()).all()) <= COUNTED


def planned(rows: QuerySet[Any]) -> int:
    """How many rows the planner expects."""
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
    """Ask for a backfill; the row, and whether it is new.

    The same one that is still under way, or was stopped, goes on from where it is.
    """
    walks = TableScan.objects.using(alias())
    walk, is_new = walks.get_or_create(
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
        walks.filter(pk=walk.pk, stopped_at__isnull=False).update(stopped_at=None, advanced_at=Now())
    walk.refresh_from_db(using=alias())
    return walk, is_new


def stop(encoder: Encoder) -> int:
    """Stop all backfills of this encoder where they are; how many."""
    walks = TableScan.objects.using(alias()).unfinished()
    return walks.filter(purpose=ScanPurpose.BACKFILL, encoder=encoder, stopped_at__isnull=True).update(
        stopped_at=Now()
    )


def waiting(encoder: Encoder | None = None) -> QuerySet[QueuedPosting]:
    """What is queued behind everything fresh and not worked off yet; for the active encoder, or
    the one that is given."""
    rows = QueuedPosting.objects.using(alias()).remaining().filter(priority=Priority.BACKFILL)
    return rows.filter(encoder=None if encoder is None else queued_for(encoder))


def run(jobs: QuerySet[Any]) -> int:
    """Queue these postings now, in the order of their keys, however many they are; how many."""
    total, last = 0, None
    while True:
        rest = jobs if last is None else jobs.filter(pk__gt=last)
        ids = list(rest.order_by("pk").values_list("pk", flat=True)[:STEP])
        if not ids:
            return total
        with transaction.atomic(using=alias()):
            queue(ids)
        total, last = total + len(ids), ids[-1]


def run_changed(
    encoder: Encoder,
    *,
    dry_run: bool = False,
    progress: Callable[[int], None] = lambda looked_at: None,
) -> int:
    """Queue postings whose text is not the one that was encoded; how many.

    For texts that are prepared in another way since. Reads every posting that has a vector.
    """
    adapter = get_adapter()
    total, last = 0, None
    while True:
        known = PostingEmbedding.objects.using(alias()).filter(encoder=encoder)
        known = known if last is None else known.filter(posting_id__gt=last)
        step = dict(known.order_by("posting_id").values_list("posting_id", "text_digest")[:STEP])
        if not step:
            return total
        last = next(reversed(step))
        jobs = adapter.jobs().filter(pk__in=list(step))
        stale = [
            job.pk for job in jobs if digest(prepared_text(adapter, job)) != bytes(step[job.pk])
        ]
        if stale and not dry_run:
            with transaction.atomic(using=alias()):
                queue(stale)
                queue_beside(stale)
        total += len(stale)
        progress(len(step))


def queue(
    jobs: list[Any], *, encoder_id: int | None = None, vectors_only: bool = False
) -> tuple[list[int], list[Any]]:
    """Queue these postings at low priority, inside a transaction.

    The new rows' ids, and the postings that their host held locked (or that are gone).
    """
    with connections[alias()].cursor() as cursor:
        cursor.execute(
            sql.statement(sql.BACKFILL),
            {"jobs": jobs, "queue_encoder": encoder_id, "vector_only": vectors_only},
        )
        rows, held = cursor.fetchone()
    return list(rows), list(held)


def queue_beside(jobs: list[Any]) -> None:
    """Queue these postings for each candidate as well, after ``queue`` in its transaction: as
    the intake does, of what it never saw."""
    for encoder in Encoder.objects.using(alias()).candidates().order_by("pk"):
        queue(jobs, encoder_id=encoder.pk, vectors_only=True)
