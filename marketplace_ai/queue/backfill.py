"""Older postings into the queue, behind everything fresh."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connections, transaction
from django.db.models import DateTimeField, Exists, OuterRef
from django.utils import timezone

from marketplace_ai.adapter import get_adapter
from marketplace_ai.models import Decision, JobEmbedding, PendingJob, get_job_model
from marketplace_ai.text import digest

from . import sql
from .write import prepared_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import QuerySet

    from marketplace_ai.adapter import JobAdapter
    from marketplace_ai.models import Encoder

#: Postings queued in one transaction: short enough that nothing waits for it.
STEP = 2000


def missing(encoder: Encoder, since: dt.date | None = None) -> QuerySet[Any]:
    """Postings that have no vector of ``encoder`` and are not queued for one."""
    adapter = get_adapter()
    has_vector = JobEmbedding.objects.filter(job_id=OuterRef("pk"), encoder=encoder)
    # A blank posting has a decision and never a vector.
    is_decided = Decision.objects.filter(job_id=OuterRef("pk"), current=True, encoder=encoder)
    is_queued = PendingJob.objects.filter(job_id=OuterRef("pk"), encoder__isnull=True)
    jobs = adapter.jobs()
    for there in (has_vector, is_queued, is_decided):
        jobs = jobs.exclude(Exists(there))
    if since is not None:
        jobs = jobs.filter(**{f"{adapter.created_field}__gte": _start_of(since, adapter)})
    return jobs


def _start_of(day: dt.date, adapter: JobAdapter) -> dt.date | dt.datetime:
    """The day's first moment in the project's time zone, as the host's field holds moments."""
    field = get_job_model()._meta.get_field(str(adapter.created_field))
    if not isinstance(field, DateTimeField):
        return day
    start = dt.datetime.combine(day, dt.time.min)
    return timezone.make_aware(start) if settings.USE_TZ else start


def run(
    jobs: QuerySet[Any],
    *,
    limit: int | None = None,
    vectors_only: bool = False,
    progress: Callable[[int], None] = lambda queued: None,
) -> int:
    """Queue postings in the order of their keys; stopped anywhere, it goes on where it was."""
    total, last = 0, None
    while limit is None or total < limit:
        step = STEP if limit is None else min(STEP, limit - total)
        rest = jobs if last is None else jobs.filter(pk__gt=last)
        ids = list(rest.order_by("pk").values_list("pk", flat=True)[:step])
        if not ids:
            break
        queue(ids, vectors_only=vectors_only)
        total, last = total + len(ids), ids[-1]
        progress(len(ids))
    return total


def run_changed(
    encoder: Encoder,
    *,
    dry_run: bool = False,
    progress: Callable[[int], None] = lambda looked_at: None,
) -> int:
    """Queue postings whose text is not the one that was encoded; how many.

    For edits that no trigger could name, and for texts that are prepared in another way since.
    Reads every posting that has a vector.
    """
    adapter = get_adapter()
    total, last = 0, None
    while True:
        known = JobEmbedding.objects.filter(encoder=encoder)
        known = known if last is None else known.filter(job_id__gt=last)
        step = dict(known.order_by("job_id").values_list("job_id", "text_digest")[:STEP])
        if not step:
            return total
        last = next(reversed(step))
        jobs = adapter.jobs().filter(pk__in=list(step))
        stale = [
            job.pk for job in jobs if digest(prepared_text(adapter, job)) != bytes(step[job.pk])
        ]
        if not dry_run:
            queue(stale)
        total += len(stale)
        progress(len(step))


def queue(jobs: list[Any], *, vectors_only: bool = False) -> int:
    """Queue these postings at low priority; how many were not queued already."""
    with transaction.atomic(using=sql.alias()), connections[sql.alias()].cursor() as cursor:
        cursor.execute(
            sql.statement(sql.BACKFILL),
            {"jobs": jobs, "queue_encoder": None, "vector_only": vectors_only},
        )
        return int(cursor.rowcount)
