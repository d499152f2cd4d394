"""The fenced write: the results of a batch become true in one transaction, or not at all.

A write locks the encoder, then the postings by key, then their queue rows; reads postings and
current decisions; compares texts with the encoded ones; and writes vectors, decisions and
categories of what is unchanged.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import connections, transaction

from marketplace_ai.adapter import get_adapter
from marketplace_ai.db import vectors
from marketplace_ai.db.alias import alias
from marketplace_ai.models import Decision, Encoder, EncoderState, get_job_model
from marketplace_ai.signals import jobs_decided
from marketplace_ai.text.normalize import digest

from . import audit_sample, encoder_locks, shadow_decisions, sql
from . import claim as claims
from .decide import Decisions, PreviousDecision, decide
from .statements import Statement, execute_pipelined

if TYPE_CHECKING:
    from marketplace_ai.adapter import JobAdapter

    from .claim import Claim
    from .proposal import EncodedPosting

#: Rows queued until this long after a switch of encoders may have been queued before it committed.
SWITCH_WINDOW = dt.timedelta(minutes=1)
UNSTABLE_TEXT = "The adapter's text() or clean() gives another text each time it is called."


@dataclass(slots=True)
class Written:
    """The outcome of a batch: queue rows by what became of them."""

    decided: int = 0
    vectors: int = 0
    changed: list[int] = field(default_factory=list)
    locked: list[int] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Fence:
    """What of a batch is locked and still owned by its claim.

    ``postings``: current postings by key; ``rows``: queue rows by id, with whether only a vector is
    wanted; ``previous``: current decisions by posting.
    """

    postings: dict[Any, Any]
    rows: dict[int, bool]
    previous: dict[Any, PreviousDecision]

    def is_decided(self, item: EncodedPosting) -> bool:
        """Whether this very text was decided after its row was queued: a claim read the edit
        before its log entry was collected, and it is not to be decided twice."""
        before = self.previous.get(item.posting_id)
        return before is not None and before.decided == item.digest


def write(
    claim: Claim, encoder: Encoder, classifier_id: int | None, batch: list[EncodedPosting]
) -> Written:
    """Write an encoded batch in one transaction.

    Only postings whose row this claim still owns and whose text is still the encoded one are
    written; the others go back to the queue.

    A claim for one candidate (``claim.encoder_id``) stores vectors and has no other effect; with
    ``classifier_id``, also shadow decisions for rows that want more than a vector.
    """
    adapter = get_adapter()
    with transaction.atomic(using=alias()):
        states = (
            (EncoderState.ACTIVE,)
            if claim.encoder_id is None
            else encoder_locks.STATES_WITH_VECTORS
        )
        locked_encoder = encoder_locks.lock_shared(encoder.pk, *states)
        if locked_encoder is None:
            return _end_without_encoder(claim, [item.row_id for item in batch])
        fence = _lock(claim, encoder, classifier_id, batch)
        written = Written()
        unchanged = _compare(adapter, claim, fence, batch, written)
        to_decide, in_shadow = _select(claim, classifier_id, fence, unchanged)
        decisions = Decisions()
        if to_decide:
            decisions = decide(adapter, to_decide, fence.postings, fence.previous)
        written.vectors, written.decided = len(unchanged), len(to_decide)
        done = [*written.dropped, *(item.row_id for item in unchanged)]
        execute_pipelined(
            _vector_statements(encoder, unchanged)
            + _decision_statements(encoder, classifier_id, decisions, fence)
            + shadow_decisions.upsert_statements(adapter, encoder.pk, classifier_id, in_shadow)
            + _candidate_statements(claim, locked_encoder, unchanged)
            + claims.finish_statements(claim.token, done, written.changed, written.locked)
        )
        _apply(adapter, to_decide, decisions)
    return written


def _end_without_encoder(claim: Claim, rows: list[int]) -> Written:
    """The encoder was switched or retired meanwhile, so nothing of the batch is written."""
    if claim.encoder_id is None:
        claims.release(claim.token, rows)  # to be encoded by the new active one
        return Written(changed=rows)
    claims.finish(claim.token, rows)
    return Written(dropped=rows)


def _lock(
    claim: Claim, encoder: Encoder, classifier_id: int | None, batch: list[EncodedPosting]
) -> Fence:
    """Lock the postings, except those that the project holds locked, then the rows we own."""
    jobs = {
        job.pk: job
        for job in get_job_model()
        ._base_manager.using(alias())
        .filter(pk__in=[item.posting_id for item in batch])
        .order_by("pk")
        .select_for_update(skip_locked=True, of=("self",), no_key=True)
    }
    locked = [item.row_id for item in batch if item.posting_id in jobs]
    fence = Fence(jobs, {}, {})
    with connections[alias()].cursor() as cursor:
        values: dict[str, Any] = {
            "token": claim.token,
            "ids": locked,
            "encoder": encoder.pk,
            "classifier": classifier_id,
        }
        cursor.execute(sql.LOCK_OWNED_ROWS, values)
        for row_id, vector_only, posting_id, decision, *known in cursor.fetchall():
            fence.rows[row_id] = vector_only
            if decision is not None:
                fence.previous[posting_id] = PreviousDecision(decision, *known)
    return fence


def _compare(
    adapter: JobAdapter,
    claim: Claim,
    fence: Fence,
    batch: list[EncodedPosting],
    written: Written,
) -> list[EncodedPosting]:
    """The postings whose text is still the encoded one; ``written`` gets the rows of the others."""
    unchanged: list[EncodedPosting] = []
    for item in batch:
        job = fence.postings.get(item.posting_id)
        if job is None:
            written.locked.append(item.row_id)  # or deleted, and its row with it
        elif item.row_id not in fence.rows:
            continue  # the claim was lost: another worker has the row
        elif not adapter.eligible(job):
            written.dropped.append(item.row_id)
        elif digest(adapter.encoder_input(job)) == item.digest:
            unchanged.append(item)
        elif adapter.encoder_input(job) == adapter.encoder_input(job):
            written.changed.append(item.row_id)
        else:
            # It would never be the text that was encoded, and be encoded forever.
            claims.fail(claim.token, item.row_id, UNSTABLE_TEXT)
    return unchanged


def _select(
    claim: Claim, classifier_id: int | None, fence: Fence, unchanged: list[EncodedPosting]
) -> tuple[list[EncodedPosting], list[EncodedPosting]]:
    """The postings to decide, and those to decide in shadow mode; the rest gets vectors only."""
    if claim.encoder_id is None:
        to_decide = [
            item for item in unchanged if not fence.rows[item.row_id] and not fence.is_decided(item)
        ]
        return to_decide, []
    if classifier_id is None:
        return [], []
    rows = {row.id for row in claim.rows if not row.vector_only}
    return [], [item for item in unchanged if item.row_id in rows]


def _apply(adapter: JobAdapter, decided: list[EncodedPosting], decisions: Decisions) -> None:
    """Write the categories to the postings, and send ``jobs_decided`` after the commit."""
    if decided:
        adapter.apply_categories(decisions.to_apply, by="machine")
    if decisions.second_categories:
        adapter.apply_secondary(decisions.second_categories)
    if decided:
        posting_ids, applied = [item.posting_id for item in decided], list(decisions.to_apply)
        transaction.on_commit(
            lambda: jobs_decided.send_robust(Decision, job_ids=posting_ids, applied=applied),
            using=alias(),
            robust=True,
        )


def _vector_statements(encoder: Encoder, items: list[EncodedPosting]) -> list[Statement]:
    items = [item for item in items if item.vector is not None]
    if not items:
        return []
    values = {
        "encoder": encoder.pk,
        "jobs": [item.posting_id for item in items],
        "vectors": vectors.to_database([i.vector for i in items if i.vector is not None]),
        "digests": [item.digest for item in items],
    }
    return [(sql.UPSERT_EMBEDDINGS, values)]


def _candidate_statements(
    claim: Claim, locked_encoder: encoder_locks.LockedEncoder, items: list[EncodedPosting]
) -> list[Statement]:
    """Queue the postings for candidates that have no row for them, because they were queued
    while another encoder was active."""
    if claim.encoder_id is not None or locked_encoder.activated is None:
        return []
    until = locked_encoder.activated + SWITCH_WINDOW
    early_rows = {row.id for row in claim.rows if row.queued <= until}
    items = [item for item in items if item.row_id in early_rows and item.vector is not None]
    if not items:
        return []
    values = {
        "jobs": [item.posting_id for item in items],
        "digests": [item.digest for item in items],
    }
    return [(sql.QUEUE_FOR_CANDIDATES, values)]


def _decision_statements(
    encoder: Encoder, classifier_id: int | None, decisions: Decisions, fence: Fence
) -> list[Statement]:
    if not decisions.rows:
        return []
    before = [fence.previous[r.posting].id for r in decisions.rows if r.posting in fence.previous]
    supersede: list[Statement] = (
        [(sql.SUPERSEDE_DECISIONS, {"decisions": before})] if before else []
    )
    values = {"encoder": encoder.pk, "classifier": classifier_id, **decisions.parameters()}
    return [
        *supersede,
        (sql.INSERT_DECISIONS, values),
        # Where a person has answered nothing can be applied, so there is nothing to audit.
        *audit_sample.record_statements(decisions.free),
    ]
