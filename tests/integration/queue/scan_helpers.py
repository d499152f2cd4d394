"""What tests of table scans over the postings share."""

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
    with unseen():
        jobs = JobPosting.objects.bulk_create(
            [JobPosting(title=f"Male rom {n}") for n in range(count)]
        )
        JobPosting.objects.filter(pk__in=[job.pk for job in jobs]).update(created_at=LONG_AGO)
    return jobs


@contextmanager
def unseen() -> Iterator[None]:
    """What is written in the block is seen by no trigger, as where a replica applies it."""
    before = PostingChange.objects.count()
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        try:
            yield
        finally:
            cursor.execute("SET session_replication_role = origin")
    assert PostingChange.objects.count() == before


def go_on() -> int:
    """All steps that can be gone now, without the pauses between them; how many."""
    steps = -1
    went = True
    while went:
        steps += 1
        TableScan.objects.update(scheduled_at=Now())
        went = scans.advance(active())
    return steps


def queued() -> list[Any]:
    return list(QueuedPosting.objects.order_by("pk").values_list("posting_id", flat=True))


def worked_off(vectors: bool = True) -> None:
    """What is in the queue, as if a worker had done it."""
    for row in QueuedPosting.objects.all():
        PostingEmbedding.objects.create(
            posting_id=row.posting_id, encoder=active(), vector=[1.0] * 64, text_digest=b"x"
        )
        row.delete()
