"""Proposals into decisions and categories, inside the write's transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marketplace_ai.models import Decision, Encoder, Outcome
from marketplace_ai.ownership import Owner, owner

from . import audit, sql
from .categories import keep_categories

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable

    from marketplace_ai.adapter import JobAdapter

    from .proposal import Encoded, Proposal


def decide(
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
    current = Decision.objects.using(sql.alias()).filter(
        job_id__in=[item.job_id for item in items], current=True
    )
    previous = {
        decision.job_id: decision
        for decision in current.only(
            "job_id", "machine_category_id", "answered", "outcome", "secondary_keys"
        )
    }
    categories = keep_categories(_categories(items, previous.values()))
    rows, to_apply, free = [], {}, []
    secondary: dict[Any, list[Any]] = {}
    for item in items:
        job, before = jobs[item.job_id], previous.get(item.job_id)
        machine_category = before.machine_category_id if before else None
        if machine_category not in categories:
            machine_category = None  # deleted since: nobody took it away
        answered = before.answered if before else False
        present = adapter.category_id(job)
        proposal = item.proposal
        category = categories.get(proposal.category)
        owned_by = owner(present, machine_category, answered)
        outcome = _outcome(proposal, category is not None, owned_by)
        if owned_by is Owner.MACHINE:
            free.append(item.job_id)
        if outcome in (Outcome.AUTOMATIC, Outcome.AUTOMATIC_PARENT, Outcome.NONE):
            chosen = category.pk if category is not None else None
            if chosen != present:
                to_apply[item.job_id] = chosen
            machine_category = chosen
        elif outcome == Outcome.KEPT:
            # A person has spoken: even their clearing it later is not for us to undo.
            machine_category, answered = None, True
        elif outcome == Outcome.REVIEW and present is not None:
            # The text changed and the old automatic category no longer holds by itself.
            to_apply[item.job_id] = machine_category = None
        further = [
            categories[key]
            for key in proposal.secondary
            if key in categories and key != proposal.category
        ]
        if owned_by is Owner.MACHINE:
            # Told anew with every automatic decision: an adapter may have learnt to hear it.
            # What a person decided about is for that person to tag, in part as in whole.
            said = [other.pk for other in further] if outcome == Outcome.AUTOMATIC else []
            if said or _has_secondary(before):
                secondary[item.job_id] = said
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
                secondary_keys=[adapter.category_key(other) for other in further],
            )
        )
    Decision.objects.filter(pk__in=[d.pk for d in previous.values()]).update(current=False)
    Decision.objects.bulk_create(rows)
    # Where a person has spoken nothing could be applied, so there is nothing to audit.
    audit.record(free)
    adapter.apply_categories(to_apply, by="machine")
    if secondary:
        adapter.apply_secondary(secondary)
    return list(to_apply)


def _has_secondary(before: Decision | None) -> bool:
    """Whether the host was told of further categories when this was decided."""
    return (
        before is not None and before.outcome == Outcome.AUTOMATIC and bool(before.secondary_keys)
    )


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
    keys |= {key for item in items for key in item.proposal.secondary}
    keys |= {decision.machine_category_id for decision in before}
    return keys - {None}
