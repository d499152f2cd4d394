"""What ``doctor`` says of encoders beside the active one, and of what retired ones left."""

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
    """A finding for each encoder of which there is something to tell."""
    for standing in status.all_statuses():
        encoder = standing.encoder
        if encoder.state == EncoderState.RETIRED:
            if partitions.exists(encoder):
                yield Finding(
                    "retired encoder", False,
                    f"{encoder} is retired, but its vectors are not dropped yet.",
                    f"Run manage.py retire_encoder {encoder} again.",
                )  # fmt: skip
        elif encoder.state != EncoderState.ACTIVE:
            yield _candidate(standing)
            if encoder.last_error:
                yield Finding(
                    "candidate", False,
                    f"Workers cannot work with {encoder}. {encoder.last_error}",
                    "Cure that where this worker runs, it tries again by itself; or run manage.py "
                    f"retire_encoder {encoder}.",
                )  # fmt: skip


def _candidate(standing: EncoderStatus) -> Finding:
    encoder = standing.encoder
    lacking = standing.exemplars[1] - standing.exemplars[0]
    aside = f", {stats.format_count(standing.set_aside)} set aside" if standing.set_aside else ""
    queued = f"{stats.format_count(standing.pending)} postings in its queue{aside}"
    if encoder.state == EncoderState.BUILDING:
        message = f"{encoder} is being built: {_walked(standing)}{queued}, {lacking} exemplars left"
        stopped = standing.walk is not None and standing.walk.stopped_at
        cure = f"Run manage.py backfill_embeddings --encoder {encoder} to go on." if stopped else ""
    elif encoder.replaced_at is not None:
        message = (
            f"{encoder} was active before and is kept to go back to: each posting is encoded by "
            f"it too, {standing.postings[0]:,} have its vector; {queued}"
        )
        cure = f"Run manage.py retire_encoder {encoder} when nobody wants to go back to it."
    else:
        message = f"{encoder} is ready, and somebody has to decide about it; {queued}"
        cure = (
            f"Run manage.py fit_classifier --encoder {encoder}, then activate_encoder {encoder}; "
            f"or retire_encoder {encoder}."
        )
    return Finding("candidate", True, message, cure)


def _walked(standing: EncoderStatus) -> str:
    """How far its backfill is, before other words; empty where it has ended."""
    walk, known = standing.walk, standing.progress
    if walk is None or known is None:
        return ""
    about = "about " if walk.is_estimated else ""
    left = "" if known.left is None else f" ({known.left} left at {known.rate:,.0f}/s)"
    stopped = ", where it was stopped" if walk.stopped_at else ""
    return f"{known.done:,} of {about}{known.total:,} postings{left}{stopped}, "
