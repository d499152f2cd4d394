"""What holds for postings now: their decisions, whose their category is, what is proposed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from marketplace_ai.adapter import get_adapter
from marketplace_ai.models import (
    Decision,
    Outcome,
    QueuedPosting,
    get_category_model,
    get_job_model,
)
from marketplace_ai.models.decision import PERSONS
from marketplace_ai.ownership import Owner, owner

from .category_names import stored_category_name

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

#: Columns of a list; the arrays with the matches stay in the database.
ARRAYS = (
    "match_exemplars", "match_similarities", "match_shares", "choice_keys", "choice_probabilities",
    "second_category_keys",
)  # fmt: skip
FITS_NONE = _("fits none")


@dataclass(frozen=True, slots=True)
class State:
    """One posting's row in a list: no attribute needs another query."""

    category_name: str
    decision: Decision | None
    queue_entry: QueuedPosting | None
    set_by: str | Promise
    #: What could be confirmed, where it is not the present category.
    proposal: str | Promise | None


@dataclass(frozen=True, slots=True)
class Proposed:
    """What a confirmation would make true; ``category_id`` None: the posting fits none."""

    category_id: Any | None
    name: str | Promise


def decisions_of(job_ids: Iterable[Any]) -> dict[Any, Decision]:
    """Current decisions by posting, in one query, without their matches."""
    rows = Decision.objects.current().filter(posting_id__in=list(job_ids))
    rows = rows.select_related("category").defer(*ARRAYS)
    return {decision.posting_id: decision for decision in rows}


def states(jobs: Sequence[Any]) -> dict[Any, State]:
    """All that a list shows of these postings, in at most three queries."""
    adapter = get_adapter()
    decisions = decisions_of(job.pk for job in jobs)
    undecided = [job.pk for job in jobs if job.pk not in decisions]
    queue_entries = {
        row.posting_id: row
        for row in QueuedPosting.objects.filter(posting_id__in=undecided, encoder__isnull=True)
    }
    wanted = {adapter.category_id(job) for job in jobs} | machine_categories(decisions.values())
    categories = get_category_model()._base_manager.in_bulk(list(wanted - {None}))
    result = {}
    for job in jobs:
        category = adapter.category_id(job)
        decision = decisions.get(job.pk)
        name = adapter.category_name(categories[category]) if category in categories else ""
        result[job.pk] = State(
            category_name=name,
            decision=decision,
            queue_entry=queue_entries.get(job.pk),
            set_by=set_by(category, decision, categories),
            proposal=_open_proposal(category, decision),
        )
    return result


def set_by(
    category: Any | None, decision: Decision | None, living: Container[Any]
) -> str | Promise:
    """Who gave the posting its present category, or said that none fits."""
    whose = whose_category(category, decision, living)
    if whose is not Owner.MACHINE:
        return _("a person")
    if category is not None or (decision and decision.outcome == Outcome.NONE):
        return _("automatic")
    return _("nobody")


def _open_proposal(category: Any | None, decision: Decision | None) -> str | Promise | None:
    """The name of a proposal that the posting's category does not show already."""
    what = proposed(decision)
    if what is None or decision is None or decision.outcome in PERSONS:
        return None
    if decision.outcome == Outcome.REVIEW or what.category_id != category:
        return what.name
    return None


def machine_categories(decisions: Iterable[Decision]) -> set[Any]:
    """Keys of the categories that the machine gave last; some may have been deleted since."""
    return {decision.machine_category_id for decision in decisions} - {None}


def living(keys: Iterable[Any]) -> set[Any]:
    """Those of the categories that exist, by primary key."""
    wanted = list(keys)
    rows: Any = get_category_model()._base_manager.filter(pk__in=wanted)
    return set(rows.values_list("pk", flat=True)) if wanted else set()


def whose_category(
    category: Any | None, decision: Decision | None, living: Container[Any]
) -> Owner:
    """Whose the present category is; ``living`` holds the keys of those that exist."""
    machine = decision.machine_category_id if decision else None
    if machine not in living:
        machine = None  # deleted since: nobody took it away
    return owner(category, machine, decision.is_answered if decision else False)


def proposed(decision: Decision | None) -> Proposed | None:
    """What the decision proposes; None where it says nothing that could be confirmed."""
    if decision is None:
        return None
    if decision.category_id is not None:
        return Proposed(decision.category_id, stored_category_name(decision))
    if decision.category_key:
        return None  # its category was deleted since
    if decision.probability is not None or decision.outcome in (Outcome.NONE, *PERSONS):
        return Proposed(None, FITS_NONE)
    return None  # nothing was fitted when it was made


def overrules_person(decision: Decision, category: Any | None) -> bool:
    """Whether confirming would replace another category that a person chose."""
    # Only the posting's own category matters here, and that one exists.
    whose = whose_category(category, decision, (category,))
    return whose is Owner.PERSON and decision.category_id != category


def current_categories(job_ids: Iterable[Any]) -> dict[Any, Any | None]:
    """The postings' present categories, as primary keys."""
    field: Any = get_job_model()._meta.get_field(get_adapter().category_field)
    rows: Any = get_job_model()._base_manager.filter(pk__in=list(job_ids))
    return dict(rows.values_list("pk", field.attname))
