"""The status of each encoder: how far it is built, what is queued for it, time remaining."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from marketplace_ai.db.alias import alias
from marketplace_ai.models import (
    ClassifierVersion,
    Encoder,
    EncoderState,
    Exemplar,
    ExemplarEmbedding,
    ExemplarState,
    PostingEmbedding,
    QueuedPosting,
    ScanPurpose,
    TableScan,
    get_job_model,
)
from marketplace_ai.queue import backfill, scans, stats

if TYPE_CHECKING:
    from django.db.models import QuerySet


@dataclass(frozen=True, slots=True)
class EncoderStatus:
    """The status of one encoder.

    ``postings`` and ``exemplars``: how many have its vector, and how many there are; for postings
    the planner's estimate if ``estimated``. ``queued`` and ``failed`` count its own
    rows of the queue, of the active one those that it is to decide. ``scan``: the backfill that
    is under way with how far it is, or None. ``classifier``: the key of its active version."""

    encoder: Encoder
    postings: tuple[int, int]
    estimated: bool
    exemplars: tuple[int, int]
    queued: int
    failed: int
    scan: TableScan | None
    progress: scans.Progress | None
    classifier: int | None

    def as_dict(self) -> dict[str, Any]:
        encoder, progress = self.encoder, self.progress
        return {
            "name": encoder.name,
            "state": encoder.state,
            "source": encoder.source,
            "dimension": encoder.dimension,
            "postings": {"with_vector": self.postings[0], "all": self.postings[1]},
            "estimated": self.estimated,
            "exemplars": {"with_vector": self.exemplars[0], "all": self.exemplars[1]},
            "pending": self.queued,
            "set_aside": self.failed,
            "backfill": None if progress is None or self.scan is None else {
                "done": progress.done,
                "total": progress.total,
                "rate": round(progress.rate, 1),
                "seconds_left": None if progress.left is None else progress.left.total_seconds(),
                "stopped": self.scan.stopped_at is not None,
            },
            "shadow": encoder.is_shadowing,
            "classifier": self.classifier,
            "activated": encoder.activated_at,
            "retired": encoder.retired_at,
            "trouble": encoder.last_error,
        }  # fmt: skip


def all_statuses() -> list[EncoderStatus]:
    """The status of all encoders, in the order of registration."""
    encoders = Encoder.objects.using(alias()).defer("metrics", "comparison").order_by("pk")
    jobs = get_job_model()._base_manager.using(alias()).all()
    postings, is_estimated = _count(jobs)
    exemplars = Exemplar.objects.using(alias()).filter(state=ExemplarState.ACTIVE).count()
    return [encoder_status(encoder, postings, exemplars, is_estimated) for encoder in encoders]


def encoder_status(
    encoder: Encoder, postings: int, exemplars: int, is_estimated: bool = False
) -> EncoderStatus:
    """The status of one encoder, given the numbers of all postings and exemplars."""
    if encoder.state == EncoderState.RETIRED:
        return EncoderStatus(encoder, (0, postings), False, (0, exemplars), 0, 0, None, None, None)
    vectors, is_vector_estimate = _count(
        PostingEmbedding.objects.using(alias()).filter(encoder=encoder)
    )
    encoded_exemplars = ExemplarEmbedding.objects.using(alias()).filter(
        encoder=encoder, exemplar__state=ExemplarState.ACTIVE
    )
    rows = QueuedPosting.objects.using(alias()).filter(encoder=backfill.queue_encoder_id(encoder))
    scan = (
        TableScan.objects.using(alias())
        .unfinished()
        .filter(purpose=ScanPurpose.BACKFILL, encoder=encoder)
        .order_by("pk")
        .first()
    )
    progress = None
    if scan is not None:
        waiting = backfill.queued_rows(encoder)[: stats.LARGEST_COUNT].count()
        progress = scans.progress(scan, waiting)
    return EncoderStatus(
        encoder=encoder,
        postings=(vectors, postings),
        estimated=is_estimated or is_vector_estimate,
        exemplars=(encoded_exemplars.count(), exemplars),
        queued=rows.remaining()[: stats.LARGEST_COUNT + 1].count(),
        failed=rows.failed()[: stats.LARGEST_COUNT + 1].count(),
        scan=scan,
        progress=progress,
        classifier=ClassifierVersion.objects.active_id(encoder),
    )


def _count(rows: QuerySet[Any]) -> tuple[int, bool]:
    """The number of rows, and whether it is the planner's estimate (for large tables)."""
    planned = backfill.estimate_rows(rows)
    return (planned, True) if planned > backfill.MAX_COUNTED_ROWS else (rows.count(), False)
