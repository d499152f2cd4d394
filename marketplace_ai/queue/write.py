"""The fenced write: what a worker found out becomes true, exactly once, or not at all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import connections, transaction

from marketplace_ai.adapter import JobAdapter, get_adapter
from marketplace_ai.models import Decision, Encoder, EncoderState, get_job_model
from marketplace_ai.signals import jobs_decided
from marketplace_ai.text import digest

from . import claim as claims
from . import sql, vectors
from .decide import decide

if TYPE_CHECKING:
    import datetime as dt

    from .claim import Claim
    from .proposal import Encoded

#: A posting that its host holds locked is looked at again after this many seconds.
HELD_DELAY = 1.0
UNSTEADY = "The adapter's text() or clean() gives another text each time it is called."


@dataclass(slots=True)
class Written:
    """What became of a batch: rows of the queue by their fate."""

    decided: int = 0
    vectors: int = 0
    changed: list[int] = field(default_factory=list)
    held: list[int] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)


def prepared_text(adapter: JobAdapter, job: Any) -> str:
    """The text of a posting as it is encoded, whatever characters it holds."""
    return adapter.prepared(adapter.text(job))


def write(
    claim: Claim, encoder: Encoder, classifier_id: int | None, batch: list[Encoded]
) -> Written:
    """Record a batch in one transaction.

    Written is only what is still this claim's and whose text is still the one that was
    encoded; the rest goes back to the queue. Jobs are locked first, by key, then their rows.
    """
    adapter = get_adapter()
    written = Written()
    connection = connections[sql.alias()]
    with transaction.atomic(using=sql.alias()), connection.cursor() as cursor:
        if claim.encoder_id is None and not _still_active(encoder):
            # The encoder was switched meanwhile: encode again with the new one.
            written.changed = [item.row_id for item in batch]
            claims.release(claim.token, written.changed)
            return written
        jobs = _lock_jobs([item.job_id for item in batch])
        locked = [item.row_id for item in batch if item.job_id in jobs]
        cursor.execute(sql.LOCK_CLAIMED, {"token": claim.token, "ids": locked})
        mine: dict[int, bool] = dict(cursor.fetchall())
        cursor.execute("SELECT now()")
        now: dt.datetime = cursor.fetchone()[0]

        kept: list[Encoded] = []
        for item in batch:
            job = jobs.get(item.job_id)
            if job is None:
                written.held.append(item.row_id)  # or deleted, and its row with it
            elif item.row_id not in mine:
                continue  # the claim was lost: somebody else does it
            elif not adapter.eligible(job):
                written.dropped.append(item.row_id)
            elif digest(prepared_text(adapter, job)) == item.digest:
                kept.append(item)
            elif prepared_text(adapter, job) == prepared_text(adapter, job):
                written.changed.append(item.row_id)
            else:
                # It would never be the text that was encoded, and be encoded for ever.
                claims.fail(claim.token, item.row_id, UNSTEADY)

        _store_vectors(encoder, kept)
        written.vectors = len(kept)
        to_decide = [item for item in kept if not mine[item.row_id] and claim.encoder_id is None]
        applied = decide(adapter, encoder, classifier_id, to_decide, jobs, now)
        written.decided = len(to_decide)

        claims.finish(claim.token, [*written.dropped, *(item.row_id for item in kept)])
        claims.release(claim.token, written.changed)
        claims.release(claim.token, written.held, delay=HELD_DELAY)
        if to_decide:
            job_ids = [item.job_id for item in to_decide]
            transaction.on_commit(
                lambda: jobs_decided.send_robust(Decision, job_ids=job_ids, applied=applied),
                using=sql.alias(),
                robust=True,
            )
    return written


def _still_active(encoder: Encoder) -> bool:
    """Whether the encoder is in force, kept so until this transaction ends."""
    with connections[sql.alias()].cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM marketplace_ai_encoder WHERE id = %s AND state = %s FOR SHARE",
            [encoder.pk, EncoderState.ACTIVE],
        )
        return cursor.fetchone() is not None


def _lock_jobs(ids: list[Any]) -> dict[Any, Any]:
    """The postings as they are now, locked; those that the host holds are left out."""
    rows = (
        get_job_model()
        ._base_manager.using(sql.alias())
        .filter(pk__in=ids)
        .order_by("pk")
        .select_for_update(skip_locked=True, of=("self",), no_key=True)
    )
    return {job.pk: job for job in rows}


def _store_vectors(encoder: Encoder, items: list[Encoded]) -> None:
    items = [item for item in items if item.vector is not None]
    if not items:
        return
    with vectors.cursor(connections[sql.alias()]) as cursor:
        cursor.execute(
            sql.statement(sql.STORE_VECTORS),
            {
                "encoder": encoder.pk,
                "jobs": [item.job_id for item in items],
                "vectors": vectors.to_database([i.vector for i in items if i.vector is not None]),
                "digests": [item.digest for item in items],
            },
        )
