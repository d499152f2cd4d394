"""The search for what the triggers missed: a slow round over all postings, again and again.

Triggers do not see rows that are written while ``session_replication_role`` is ``replica``,
straight into a partition, or after a TRUNCATE by either way. A round finds postings newer than
the installation that nobody decided, and those whose text is not the one that was encoded. Older
postings are a backfill's, unless a whole one was finished: then no posting should lack a vector.
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
from .write import prepared_text

if TYPE_CHECKING:
    from marketplace_ai.adapter import JobAdapter
    from marketplace_ai.models import Encoder

logger = logging.getLogger(__name__)

#: Postings looked at in one transaction: their texts are read and compared in Python, and a
#: fresh posting may wait for it.
STEP = 500
#: After a step all workers leave the search alone this many times as long as it took.
PAUSE = 9.0


def begin(encoder: Encoder) -> bool:
    """Begin a round where it is time, or where a trigger could not name what changed.

    The first one comes a whole interval after the first worker: nothing can be missed yet. What
    the triggers could not name is the round's to find from then on, and goes from the log.
    """
    searches = TableScan.objects.using(alias()).filter(purpose=ScanPurpose.RECONCILE)
    searches.get_or_create(
        purpose=ScanPurpose.RECONCILE,
        defaults={name: Now() for name in ("requested_at", "advanced_at", "scheduled_at", "finished_at")},
    )
    changes = PostingChange.objects.using(alias())
    unnamed = changes.filter(posting__isnull=True)
    asked = finds_new_ones(encoder) and unnamed.exists()
    resting = searches.filter(finished_at__isnull=False)
    if not asked:
        if not conf.reconcile_hours:
            return False
        interval = dt.timedelta(hours=conf.reconcile_hours)
        resting = resting.filter(requested_at__lte=Now() - interval)
    # Most looks end here, without a transaction.
    if not resting.exists():
        return False
    total = backfill.planned(get_job_model()._base_manager.using(alias()).all())
    with transaction.atomic(using=alias()):
        begun = resting.update(
            finished_at=None, last_key=None, locked_keys=[], scanned_count=0, queued_count=0, time_spent=dt.timedelta(),
            total=total, is_estimated=True, requested_at=Now(), advanced_at=Now(), scheduled_at=Now(),
        )  # fmt: skip
        if begun and asked:
            unnamed.delete()
            logger.warning("A trigger could not name what changed: looking at all postings")
    return bool(begun)


def finds_new_ones(encoder: Encoder) -> bool:
    """Whether a posting that nobody decided can be told from one of before the app."""
    return _newer(get_adapter()) is not None or _all_were_queued(encoder)


def find(walk: TableScan, encoder: Encoder, keys: list[Any], *, queued: bool = False) -> list[Any]:
    """Those of ``keys`` that were missed, in order; with ``queued`` also those in the queue."""
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
            undecided or digest(prepared_text(adapter, job)) not in known
        )
    except (DatabaseError, psycopg.Error):
        raise  # a timeout or a lost connection is not the posting's fault
    except Exception:  # noqa: BLE001 (its error is recorded where it is worked on)
        return True


def _digests(encoder: Encoder, keys: list[Any]) -> dict[Any, set[bytes]]:
    """Digests of the texts that were encoded or decided, by posting.

    Either will do: a mass edit renews the vector only, a text that became blank the decision.
    """
    vectors = PostingEmbedding.objects.using(alias()).filter(posting_id__in=keys, encoder=encoder)
    decisions = Decision.objects.using(alias()).filter(posting_id__in=keys, is_current=True)
    known: dict[Any, set[bytes]] = {}
    for rows in (vectors, decisions):
        for key, value in rows.values_list("posting_id", "text_digest"):
            known.setdefault(key, set()).add(bytes(value))
    return known


def _undecided(adapter: JobAdapter, encoder: Encoder, keys: list[Any]) -> set[Any]:
    """Postings that lack a decision, of those that should have one."""
    newer = _newer(adapter)
    expected = newer if newer is not None else Q(pk__in=[])
    if _all_were_queued(encoder):
        # A backfill of vectors only leaves older postings undecided on purpose.
        vectors = PostingEmbedding.objects.filter(posting_id=OuterRef("pk"), encoder=encoder)
        expected |= Q(~Exists(vectors))
    decided = Decision.objects.filter(posting_id=OuterRef("pk"), is_current=True)
    jobs = adapter.jobs().using(alias()).filter(expected, ~Exists(decided), pk__in=keys)
    return set(jobs.values_list("pk", flat=True))


def _newer(adapter: JobAdapter) -> Q | None:
    """Postings created since the app was installed; None where that cannot be known."""
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
    """Whether a backfill of everything was finished."""
    return (
        TableScan.objects.using(alias())
        .filter(
            purpose=ScanPurpose.BACKFILL, encoder=encoder, is_vector_only=False,
            since__isnull=True, row_limit__isnull=True, finished_at__isnull=False,
        )
        .exists()
    )  # fmt: skip
