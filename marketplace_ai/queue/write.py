"""The fenced write: what a worker found out becomes true, exactly once, or not at all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import connections, transaction

from marketplace_ai.adapter import JobAdapter, get_adapter
from marketplace_ai.models import (
    Decision,
    Encoder,
    EncoderState,
    Outcome,
    get_job_model,
)
from marketplace_ai.ownership import Owner, owner
from marketplace_ai.signals import jobs_decided
from marketplace_ai.text import digest, prepare

from . import claim as claims
from . import sql, vectors
from .categories import keep_categories

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

    from .claim import Claim

#: A posting that its host holds locked is looked at again after this many seconds.
HELD_DELAY = 1.0


@dataclass(frozen=True, slots=True)
class Proposal:
    """What the classifier says of one posting; categories are primary keys.

    ``category`` None means "fits none". ``matches`` are (exemplar id, similarity, share).
    """

    outcome: Outcome
    category: Any | None
    probability: float | None = None
    threshold: float | None = None
    matches: tuple[tuple[int, float, float], ...] = ()
    own_share: float = 0.0
    choices: tuple[tuple[Any | None, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Encoded:
    """One claimed posting with its vector (None: nothing to encode) and its proposal."""

    row_id: int
    job_id: Any
    digest: bytes
    vector: NDArray[np.float32] | None
    proposal: Proposal


@dataclass(slots=True)
class Written:
    """What became of a batch: rows of the queue by their fate."""

    decided: int = 0
    vectors: int = 0
    changed: list[int] = field(default_factory=list)
    held: list[int] = field(default_factory=list)


def prepared_text(adapter: JobAdapter, job: Any) -> str:
    """The text of a posting as it is encoded, whatever characters it holds."""
    return prepare(adapter.clean(prepare(adapter.text(job), adapter.max_chars)), adapter.max_chars)


def write(
    claim: Claim, encoder: Encoder, classifier_id: int | None, batch: list[Encoded]
) -> Written:
    """Record a batch in one transaction.

    Written is only what is still this claim's and whose text is still the one that was
    encoded; the rest goes back to the queue. The order of locks (jobs by key, then the
    queue's rows) is every writer's order.
    """
    adapter = get_adapter()
    written = Written()
    connection = connections[sql.alias()]
    with transaction.atomic(using=sql.alias()), connection.cursor() as cursor:
        if claim.encoder_id is None and not _still_active(encoder):
            # The encoder was switched meanwhile: encode again with the new one.
            claims.release(claim.token, [item.row_id for item in batch])
            written.changed = [item.row_id for item in batch]
            return written
        jobs = _lock_jobs([item.job_id for item in batch])
        cursor.execute(
            sql.LOCK_CLAIMED, {"token": claim.token, "ids": [item.row_id for item in batch]}
        )
        mine: dict[int, bool] = dict(cursor.fetchall())
        cursor.execute("SELECT now()")
        now: dt.datetime = cursor.fetchone()[0]

        kept: list[Encoded] = []
        dropped: list[int] = []
        for item in batch:
            if item.row_id not in mine:
                continue  # the claim was lost, or the posting deleted
            job = jobs.get(item.job_id)
            if job is None:
                written.held.append(item.row_id)
            elif not adapter.eligible(job):
                dropped.append(item.row_id)
            elif digest(prepared_text(adapter, job)) != item.digest:
                written.changed.append(item.row_id)
            else:
                kept.append(item)

        _store_vectors(encoder, kept)
        written.vectors = len(kept)
        to_decide = [item for item in kept if not mine[item.row_id] and claim.encoder_id is None]
        applied = _decide(adapter, encoder, classifier_id, to_decide, jobs, now)
        written.decided = len(to_decide)

        claims.finish(claim.token, [*dropped, *(item.row_id for item in kept)])
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


def _decide(
    adapter: JobAdapter,
    encoder: Encoder,
    classifier_id: int | None,
    items: list[Encoded],
    jobs: dict[Any, Any],
    now: dt.datetime,
) -> list[Any]:
    """Add the decisions and write the categories that may be; the jobs that were given one."""
    if not items:
        return []
    previous = {
        decision.job_id: decision
        for decision in Decision.objects.filter(
            job_id__in=[item.job_id for item in items], current=True
        ).only("job_id", "machine_category_id", "answered")
    }
    categories = keep_categories(_categories(items, previous.values()))
    rows, to_apply = [], {}
    for item in items:
        job, before = jobs[item.job_id], previous.get(item.job_id)
        machine_category = before.machine_category_id if before else None
        if machine_category not in categories:
            machine_category = None  # deleted since: nobody took it away
        answered = before.answered if before else False
        present = adapter.category_id(job)
        proposal = item.proposal
        category = categories.get(proposal.category)
        outcome = _outcome(
            proposal, category is not None, owner(present, machine_category, answered)
        )
        if outcome in (Outcome.AUTOMATIC, Outcome.AUTOMATIC_PARENT, Outcome.NONE):
            chosen = category.pk if category is not None else None
            if chosen != present:
                to_apply[item.job_id] = chosen
            machine_category = chosen
        elif outcome == Outcome.REVIEW and present is not None:
            # The text changed and the old automatic category no longer holds by itself.
            to_apply[item.job_id] = machine_category = None
        rows.append(
            Decision(
                job_id=item.job_id,
                encoder=encoder,
                classifier_id=classifier_id,
                category_id=category.pk if category is not None else None,
                category_key=adapter.category_key(category)[:200] if category else "",
                category_name=adapter.category_name(category)[:300] if category else "",
                probability=proposal.probability,
                threshold=proposal.threshold,
                outcome=outcome,
                machine_category_id=machine_category,
                answered=answered,
                text_digest=item.digest,
                decided=now,
                match_exemplars=[m[0] for m in proposal.matches],
                match_similarities=[m[1] for m in proposal.matches],
                match_shares=[m[2] for m in proposal.matches],
                own_share=proposal.own_share,
                choice_keys=[
                    adapter.category_key(categories[key]) if key is not None else ""
                    for key, _ in proposal.choices
                    if key is None or key in categories
                ],
                choice_probabilities=[
                    p for key, p in proposal.choices if key is None or key in categories
                ],
            )
        )
    Decision.objects.filter(pk__in=[d.pk for d in previous.values()]).update(current=False)
    Decision.objects.bulk_create(rows)
    adapter.apply_categories(to_apply, by="machine")
    return list(to_apply)


def _outcome(proposal: Proposal, category_lives: bool, owned_by: Owner) -> Outcome:
    if owned_by is Owner.PERSON:
        return Outcome.KEPT
    if proposal.category is not None and not category_lives:
        return Outcome.REVIEW  # deleted between encoding and now
    if owned_by is Owner.CLEARED:
        return Outcome.REVIEW
    return proposal.outcome


def _categories(items: list[Encoded], before: Iterable[Decision]) -> set[Any]:
    """Keys of all categories that the decisions will name or be compared with."""
    keys = {item.proposal.category for item in items}
    keys |= {key for item in items for key, _ in item.proposal.choices}
    keys |= {decision.machine_category_id for decision in before}
    return keys - {None}
