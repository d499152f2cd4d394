"""Checks of candidate encoders, of the previous encoder, and of what retired ones left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marketplace_ai.doctor.finding import Finding
from marketplace_ai.encoders import partitions, status
from marketplace_ai.models import EncoderState
from marketplace_ai.queue import stats

if TYPE_CHECKING:
    from collections.abc import Iterator

    from marketplace_ai.encoders.status import EncoderStatus


def candidates() -> Iterator[Finding]:
    """A finding for each encoder, other than the active one, that costs or needs something."""
    for encoder_status in status.all_statuses():
        encoder = encoder_status.encoder
        if encoder.state == EncoderState.RETIRED:
            if partitions.exists(encoder):
                yield Finding(
                    "retired encoder", False,
                    f"{encoder} is retired, but its vectors are not dropped yet.",
                    f"Run manage.py retire_encoder {encoder} again.",
                )  # fmt: skip
        elif encoder.state != EncoderState.ACTIVE:
            yield _candidate(encoder_status)
            if encoder.last_error:
                yield Finding(
                    "candidate", False,
                    f"Workers cannot work with {encoder}. {encoder.last_error}",
                    "Fix that where this worker runs, and it tries again by itself; or run "
                    f"manage.py retire_encoder {encoder}.",
                )  # fmt: skip


def _candidate(encoder_status: EncoderStatus) -> Finding:
    encoder = encoder_status.encoder
    missing = encoder_status.exemplars[1] - encoder_status.exemplars[0]
    failed = encoder_status.failed
    failed_note = f", {stats.format_count(failed)} failed" if failed else ""
    queued = f"{stats.format_count(encoder_status.queued)} postings in its queue{failed_note}"
    if encoder.state == EncoderState.BUILDING:
        progress = _backfill_progress(encoder_status)
        message = f"{encoder} is being built: {progress}{queued}, {missing} exemplars left"
        is_stopped = encoder_status.scan is not None and encoder_status.scan.stopped_at
        cure = (
            f"Run manage.py backfill_embeddings --encoder {encoder} to resume."
            if is_stopped
            else ""
        )
    elif encoder.replaced_at is not None:
        message = (
            f"{encoder} was active before and is kept for a rollback: each posting is encoded "
            f"with it too, {encoder_status.postings[0]:,} have its vector; {queued}"
        )
        cure = f"Run manage.py retire_encoder {encoder} once no rollback is needed any more."
    else:
        message = f"{encoder} is ready, and somebody has to decide about it; {queued}"
        cure = (
            f"Run manage.py fit_classifier --encoder {encoder}, then activate_encoder {encoder}; "
            f"or retire_encoder {encoder}."
        )
    return Finding("candidate", True, message, cure)


def _backfill_progress(encoder_status: EncoderStatus) -> str:
    """How far the candidate's backfill is, as the start of a sentence; "" once it has finished."""
    scan, progress = encoder_status.scan, encoder_status.progress
    if scan is None or progress is None:
        return ""
    about = "about " if scan.is_estimated else ""
    left = "" if progress.left is None else f" ({progress.left} left at {progress.rate:,.0f}/s)"
    stopped = ", where it was stopped" if scan.stopped_at else ""
    return f"{progress.done:,} of {about}{progress.total:,} postings{left}{stopped}, "
