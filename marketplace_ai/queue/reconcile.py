"""Reconcile: a slow, repeated table scan for changes that the triggers missed.

Triggers do not see rows that are written while ``session_replication_role`` is ``replica``,
directly into a partition, or in either way after a TRUNCATE. A run finds postings newer than the
installation without a decision, postings whose text is not the encoded one, and those that were
decided for a category that is deleted. Older postings are left to a backfill, unless a whole one
was finished: then no posting should lack a vector.
"""

from __future__ import annotations

import datetime as dt
import logging
from typing import TYPE_CHECKING, Any

import psycopg
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import transaction
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import DateTimeField, Exists, Min, OuterRef, Q
from django.db.models.functions import Now
from django.utils import timezone

from marketplace_ai.adapter import get_adapter
from marketplace_ai.conf import conf
from marketplace_ai.db.alias import alias
from marketplace_ai.models import (
    Decision,
    PostingChange,
    PostingEmbedding,
    QueuedPosting,
    ScanPurpose,
    TableScan,
    get_job_model,
)
from marketplace_ai.text.normalize import digest

from . import backfill

if TYPE_CHECKING:
    from marketplace_ai.adapter import JobAdapter
    from marketplace_ai.models import Encoder

logger = logging.getLogger(__name__)

#: Postings scanned in one transaction: their texts are read and compared in Python, and a fresh
#: posting may wait for it.
SCAN_STEP = 500
#: After a step the run pauses, for all workers, for this many times as long as the step took.
PAUSE_FACTOR = 9.0


def start_round(encoder: Encoder) -> bool:
    """Start a run if it is due, or if a trigger could not name what changed; whether one started.

    The first run comes one interval after the first worker starts: nothing can be missed yet.
    Log entries of triggers that could not name a posting are deleted: the run finds those.
    """
    runs = TableScan.objects.using(alias()).filter(purpose=ScanPurpose.RECONCILE)
    runs.get_or_create(
        purpose=ScanPurpose.RECONCILE,
        defaults={
            name: Now() for name in ("requested_at", "advanced_at", "scheduled_at", "finished_at")
        },
    )
    changes = PostingChange.objects.using(alias())
    unnamed = changes.filter(posting__isnull=True)
    is_requested = can_find_new_postings(encoder) and unnamed.exists()
    finished_runs = runs.filter(finished_at__isnull=False)
    if not is_requested:
        if not conf.reconcile_interval_hours:
            return False
        interval = dt.timedelta(hours=conf.reconcile_interval_hours)
        finished_runs = finished_runs.filter(requested_at__lte=Now() - interval)
    # Most calls end here, without a transaction.
    if not finished_runs.exists():
        return False
    total = backfill.estimate_rows(get_job_model()._base_manager.using(alias()).all())
    with transaction.atomic(using=alias()):
        started = finished_runs.update(
            finished_at=None, last_key=None, locked_keys=[],
            scanned_count=0,
            queued_count=0, time_spent=dt.timedelta(),
            total=total, is_estimated=True,
            requested_at=Now(), advanced_at=Now(),
            scheduled_at=Now(),
        )  # fmt: skip
        if started and is_requested:
            unnamed.delete()
            logger.warning("A trigger could not name what changed: scanning all postings")
    return bool(started)


def can_find_new_postings(encoder: Encoder) -> bool:
    """Whether undecided postings can be distinguished from those older than the app."""
    return _newer(get_adapter()) is not None or _all_were_queued(encoder)


def find_missing(
    scan: TableScan, encoder: Encoder, keys: list[Any], *, queued: bool = False
) -> list[Any]:
    """Those of ``keys`` that were missed, in order; with ``queued``, including those in the
    queue."""
    adapter = get_adapter()
    known = _digests(encoder, keys)
    undecided = _undecided(adapter, encoder, keys)
    jobs = adapter.jobs().using(alias()).filter(pk__in=list(known.keys() | undecided))
    if not queued:
        is_queued = QueuedPosting.objects.filter(posting_id=OuterRef("pk"), encoder__isnull=True)
        jobs = jobs.exclude(Exists(is_queued))
    return [
        job.pk
        for job in jobs.order_by("pk")
        if _was_missed(adapter, job, known.get(job.pk, set()), job.pk in undecided)
    ]


def _was_missed(adapter: JobAdapter, job: Any, known: set[bytes], undecided: bool) -> bool:
    try:
        return adapter.eligible(job) and (
            undecided or digest(adapter.encoder_input(job)) not in known
        )
    except (DatabaseError, psycopg.Error):
        raise  # a timeout or a lost connection is not the posting's fault
    except Exception:  # noqa: BLE001 (the worker records its error)
        return True


def _digests(encoder: Encoder, keys: list[Any]) -> dict[Any, set[bytes]]:
    """Digests of the encoded and the decided text, by posting.

    A posting is up to date if either matches: a bulk update renews only the vector, a text that
    became blank only the decision.
    """
    vectors = PostingEmbedding.objects.using(alias()).filter(posting_id__in=keys, encoder=encoder)
    decisions = Decision.objects.using(alias()).filter(posting_id__in=keys, is_current=True)
    known: dict[Any, set[bytes]] = {}
    for rows in (vectors, decisions):
        for key, value in rows.values_list("posting_id", "text_digest"):
            known.setdefault(key, set()).add(bytes(value))
    return known


def _undecided(adapter: JobAdapter, encoder: Encoder, keys: list[Any]) -> set[Any]:
    """Postings that should have a decision and have none, or one for a deleted category."""
    newer = _newer(adapter)
    expected = newer if newer is not None else Q(pk__in=[])
    if _all_were_queued(encoder):
        # A backfill with --vectors-only leaves older postings undecided on purpose.
        vectors = PostingEmbedding.objects.filter(posting_id=OuterRef("pk"), encoder=encoder)
        expected |= Q(~Exists(vectors))
    decisions = Decision.objects.filter(posting_id=OuterRef("pk"))
    undecided = Q(expected, ~Exists(decisions.current())) | Q(Exists(decisions.orphaned()))
    jobs = adapter.jobs().using(alias()).filter(undecided, pk__in=keys)
    return set(jobs.values_list("pk", flat=True))


def _newer(adapter: JobAdapter) -> Q | None:
    """Postings created since the app was installed; None if that cannot be known."""
    if adapter.created_field is None:
        return None
    migrations = MigrationRecorder.Migration.objects.using(alias())
    installed: dt.datetime | None = migrations.filter(app="marketplace_ai").aggregate(
        at=Min("applied")
    )["at"]
    if installed is None:
        return None
    field = get_job_model()._meta.get_field(adapter.created_field)
    if isinstance(field, DateTimeField):
        return Q(**{f"{adapter.created_field}__gte": installed})
    day = timezone.localtime(installed).date() if settings.USE_TZ else installed.date()
    return Q(**{f"{adapter.created_field}__gt": day})


def _all_were_queued(encoder: Encoder) -> bool:
    """Whether a backfill of all postings was finished."""
    return (
        TableScan.objects.using(alias())
        .filter(
            purpose=ScanPurpose.BACKFILL, encoder=encoder, is_vector_only=False,
            since__isnull=True, row_limit__isnull=True, finished_at__isnull=False,
        )
        .exists()
    )  # fmt: skip
