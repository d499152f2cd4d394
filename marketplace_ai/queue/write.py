"""The fenced write: what a worker found out becomes true, exactly once, or not at all."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import connections, transaction

from marketplace_ai.adapter import JobAdapter, get_adapter
from marketplace_ai.db import vectors
from marketplace_ai.db.alias import alias
from marketplace_ai.models import Decision, Encoder, EncoderState, get_job_model
from marketplace_ai.signals import jobs_decided
from marketplace_ai.text.normalize import digest

from . import audit_sample, encoder_locks, shadow_decisions, sql
from . import claim as claims
from .decide import Decisions, Previous, decide
from .statements import Step, send

if TYPE_CHECKING:
    from .claim import Claim
    from .proposal import Encoded

#: A posting that its host holds locked is looked at again after this many seconds.
HELD_DELAY = 1.0
#: What is queued until so long after a switch may have been queued before it was committed.
SWITCHING = dt.timedelta(minutes=1)
UNSTEADY = "The adapter's text() or clean() gives another text each time it is called."


@dataclass(slots=True)
class Written:
    """What became of a batch: rows of the queue by their fate."""

    decided: int = 0
    vectors: int = 0
    changed: list[int] = field(default_factory=list)
    held: list[int] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Fence:
    """What of a batch is locked and still its claim's: jobs as they are now, by key; rows of
    the queue with whether only a vector is wanted; decisions in force, by job."""

    jobs: dict[Any, Any]
    rows: dict[int, bool]
    previous: dict[Any, Previous]

    def is_decided(self, item: Encoded) -> bool:
        """Whether this very text was decided after its row was queued: an edit that a claim read
        before its log entry was collected, which is not to be decided twice."""
        before = self.previous.get(item.job_id)
        return before is not None and before.decided == item.digest


def prepared_text(adapter: JobAdapter, job: Any) -> str:
    """The text of a posting as it is encoded, whatever characters it holds."""
    return adapter.prepared(adapter.text(job))


def write(
    claim: Claim, encoder: Encoder, classifier_id: int | None, batch: list[Encoded]
) -> Written:
    """Record a batch in one transaction.

    Written is only what is still this claim's and whose text is still the one that was
    encoded; the rest goes back to the queue. Jobs are locked first, by key, then their rows.

    A claim of one encoder's own rows stores vectors and has no other effect; with
    ``classifier_id`` also what that says of rows that ask for more than a vector, in the shadow.
    """
    adapter = get_adapter()
    written = Written()
    with transaction.atomic(using=alias()):
        states = (EncoderState.ACTIVE,) if claim.encoder_id is None else encoder_locks.LIVING
        standing = encoder_locks.keep(encoder.pk, *states)
        if standing is None:
            rows = [item.row_id for item in batch]
            if claim.encoder_id is None:
                # The encoder was switched meanwhile: encode again with the new one.
                claims.release(claim.token, rows)
                written.changed = rows
            else:
                claims.finish(claim.token, rows)  # it was retired
                written.dropped = rows
            return written
        fence = _lock(claim, encoder, classifier_id, batch)
        kept: list[Encoded] = []
        for item in batch:
            job = fence.jobs.get(item.job_id)
            if job is None:
                written.held.append(item.row_id)  # or deleted, and its row with it
            elif item.row_id not in fence.rows:
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

        to_decide = [
            item
            for item in kept
            if claim.encoder_id is None
            and not fence.rows[item.row_id]
            and not fence.is_decided(item)
        ]
        in_shadow: list[Encoded] = []
        if claim.encoder_id is not None and classifier_id is not None:
            asked = {row.id for row in claim.rows if not row.vector_only}
            in_shadow = [item for item in kept if item.row_id in asked]
        decisions = Decisions()
        if to_decide:
            decisions = decide(adapter, to_decide, fence.jobs, fence.previous)
        written.vectors, written.decided = len(kept), len(to_decide)

        done = [*written.dropped, *(item.row_id for item in kept)]
        send(
            _vectors(encoder, kept)
            + _decisions(encoder, classifier_id, decisions, fence)
            + shadow_decisions.decided(adapter, encoder.pk, classifier_id, in_shadow)
            + _handed_on(claim, standing, kept)
            + claims.settled(claim.token, done, written.changed, written.held, HELD_DELAY)
        )
        if to_decide:
            adapter.apply_categories(decisions.to_apply, by="machine")
        if decisions.secondary:
            adapter.apply_secondary(decisions.secondary)
        if to_decide:
            job_ids, applied = [item.job_id for item in to_decide], list(decisions.to_apply)
            transaction.on_commit(
                lambda: jobs_decided.send_robust(Decision, job_ids=job_ids, applied=applied),
                using=alias(),
                robust=True,
            )
    return written


def _lock(claim: Claim, encoder: Encoder, classifier_id: int | None, batch: list[Encoded]) -> Fence:
    """Lock the postings, but for those that the host holds, then the rows that are ours."""
    jobs = {
        job.pk: job
        for job in get_job_model()
        ._base_manager.using(alias())
        .filter(pk__in=[item.job_id for item in batch])
        .order_by("pk")
        .select_for_update(skip_locked=True, of=("self",), no_key=True)
    }
    locked = [item.row_id for item in batch if item.job_id in jobs]
    fence = Fence(jobs, {}, {})
    with connections[alias()].cursor() as cursor:
        values: dict[str, Any] = {
            "token": claim.token,
            "ids": locked,
            "encoder": encoder.pk,
            "classifier": classifier_id,
        }
        cursor.execute(sql.LOCK_CLAIMED, values)
        for row_id, vector_only, job_id, decision, *known in cursor.fetchall():
            fence.rows[row_id] = vector_only
            if decision is not None:
                fence.previous[job_id] = Previous(decision, *known)
    return fence


def _vectors(encoder: Encoder, items: list[Encoded]) -> list[Step]:
    items = [item for item in items if item.vector is not None]
    if not items:
        return []
    values = {
        "encoder": encoder.pk,
        "jobs": [item.job_id for item in items],
        "vectors": vectors.to_database([i.vector for i in items if i.vector is not None]),
        "digests": [item.digest for item in items],
    }
    return [(sql.STORE_VECTORS, values)]


def _handed_on(claim: Claim, standing: encoder_locks.Kept, items: list[Encoded]) -> list[Step]:
    """Rows for candidates that have none of these postings, since they were queued while another
    encoder was in force."""
    if claim.encoder_id is not None or standing.activated is None:
        return []
    until = standing.activated + SWITCHING
    early = {row.id for row in claim.rows if row.queued <= until}
    late = [item for item in items if item.row_id in early and item.vector is not None]
    if not late:
        return []
    values = {"jobs": [item.job_id for item in late], "digests": [item.digest for item in late]}
    return [(sql.HAND_ON, values)]


def _decisions(
    encoder: Encoder, classifier_id: int | None, decisions: Decisions, fence: Fence
) -> list[Step]:
    if not decisions.rows:
        return []
    before = [fence.previous[r.job].id for r in decisions.rows if r.job in fence.previous]
    retire: list[Step] = [(sql.RETIRE, {"decisions": before})] if before else []
    values = {"encoder": encoder.pk, "classifier": classifier_id, **decisions.parameters()}
    return [
        *retire,
        (sql.DECIDE, values),
        # Where a person has spoken nothing could be applied, so there is nothing to audit.
        *audit_sample.recorded(decisions.free),
    ]
