"""Helpers of tests of table scans: older postings, writes without triggers, steps of a scan."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection
from django.db.models.functions import Now

from marketplace_ai.models import (
    Encoder,
    JobPosting,
    PostingChange,
    PostingEmbedding,
    QueuedPosting,
    TableScan,
)
from marketplace_ai.queue import scans

LONG_AGO = "2020-01-01T12:00Z"


def active() -> Encoder:
    encoder = Encoder.objects.active()
    assert encoder is not None
    return encoder


def older(count: int) -> list[JobPosting]:
    """Postings from before the app was installed."""
    with without_triggers():
        jobs = JobPosting.objects.bulk_create(
            [JobPosting(title=f"Male rom {n}") for n in range(count)]
        )
        JobPosting.objects.filter(pk__in=[job.pk for job in jobs]).update(created_at=LONG_AGO)
    return jobs


@contextmanager
def without_triggers() -> Iterator[None]:
    """Within the block triggers do not fire, as when a replica applies the writes."""
    before = PostingChange.objects.count()
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        try:
            yield
        finally:
            cursor.execute("SET session_replication_role = origin")
    assert PostingChange.objects.count() == before


def advance_all() -> int:
    """Take all steps that can be taken now, without the pauses between them; how many."""
    steps = -1
    advanced = True
    while advanced:
        steps += 1
        TableScan.objects.update(scheduled_at=Now())
        advanced = scans.advance(active())
    return steps


def queued() -> list[Any]:
    return list(QueuedPosting.objects.order_by("pk").values_list("posting_id", flat=True))


def process_queue() -> None:
    """Give every queued posting a vector and remove its row, as a worker would."""
    for row in QueuedPosting.objects.all():
        PostingEmbedding.objects.create(
            posting_id=row.posting_id, encoder=active(), vector=[1.0] * 64, text_digest=b"x"
        )
        row.delete()
