"""Older postings into the queue, behind everything fresh."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import connections, transaction
from django.db.models import Exists, OuterRef

from marketplace_ai.adapter import get_adapter
from marketplace_ai.models import Decision, JobEmbedding, PendingJob

from . import sql

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from django.db.models import QuerySet

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
        jobs = jobs.filter(**{f"{adapter.created_field}__date__gte": since})
    return jobs


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


def queue(jobs: list[Any], *, vectors_only: bool = False) -> int:
    """Queue these postings at low priority; how many were not queued already."""
    with transaction.atomic(using=sql.alias()), connections[sql.alias()].cursor() as cursor:
        cursor.execute(
            sql.statement(sql.BACKFILL),
            {"jobs": jobs, "queue_encoder": None, "vector_only": vectors_only},
        )
        return int(cursor.rowcount)
