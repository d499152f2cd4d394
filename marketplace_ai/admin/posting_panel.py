"""The panel of one posting: its current decision, the proposal, the history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _

from marketplace_ai.adapter import get_adapter
from marketplace_ai.models import Decision, QueuedPosting
from marketplace_ai.models.decision import PERSONS
from marketplace_ai.text.normalize import digest

from .display import admin_url, badge, link, object_link, outcome_badge, percent
from .explanation import Explanation, category_name, explain
from .posting_state import Proposed, living, machine_categories, proposed, set_by

if TYPE_CHECKING:
    from django.contrib.admin import AdminSite
    from django.utils.safestring import SafeString

#: Decisions of one posting that are listed; few have more than five.
HISTORY = 20
#: Characters of the posting that stand above the answer.
TEXT = 800


@dataclass(frozen=True, slots=True)
class Event:
    """One decision in the posting's history."""

    when: Any
    who: str
    outcome: SafeString
    category: Any
    probability: str
    link: SafeString


@dataclass(slots=True)
class Panel:
    """All that the page of a posting shows about its category."""

    decision: Decision | None
    outcome: SafeString | None
    category: Any
    set_by: Any
    proposed: Proposed | None
    machine: Explanation | None
    history: list[Event]
    text: str
    queue_entry: QueuedPosting | None
    outdated: bool = False
    queue_entry_link: SafeString | str = ""


def panel(site: AdminSite, job: Any) -> Panel:
    """Read everything about one posting: six queries, however many matches it has."""
    adapter = get_adapter()
    rows = list(
        Decision.objects.filter(posting_id=job.pk)
        .select_related("category", "decided_by", "encoder")
        .order_by("-pk")[:HISTORY]
    )
    current = next((row for row in rows if row.is_current), None)
    machine = next((row for row in rows if row.outcome not in PERSONS), None)
    queue_entry = QueuedPosting.objects.filter(posting_id=job.pk, encoder__isnull=True).first()
    written = machine_categories([current]) if current is not None else set()
    what = proposed(current)
    # An answer that was given already is not there to be confirmed once more.
    if current is not None and current.outcome in PERSONS:
        what = None
    # A decision about another text is not there to be confirmed for this one.
    outdated = current is not None and bytes(current.text_digest) != digest(
        adapter.encoder_input(job)
    )
    if outdated:
        what = None
    return Panel(
        decision=current,
        outcome=outcome_badge(current.outcome) if current else None,
        category=category_name(current) if current else "",
        set_by=set_by(adapter.category_id(job), current, living(written)),
        proposed=what,
        machine=explain(site, machine, adapter) if machine else None,
        history=[_event(site, row) for row in rows],
        text=_beginning(adapter.text(job)),
        queue_entry=queue_entry,
        outdated=outdated,
        queue_entry_link=link(
            admin_url(site, QueuedPosting, "change", queue_entry.pk), _("Queue entry")
        )
        if queue_entry
        else "",
    )


def _beginning(text: str) -> str:
    """Enough of a posting to answer about it; the whole stands in the form below."""
    return text if len(text) <= TEXT else text[:TEXT].rstrip() + "…"


def _event(site: AdminSite, decision: Decision) -> Event:
    person = decision.outcome in PERSONS
    user: Any = decision.decided_by
    who = _("deleted user") if person else _("automatic")
    if user is not None:
        who = user.get_username()
    label = _("current") if decision.is_current else _("superseded")
    return Event(
        when=decision.decided_at,
        who=who,
        outcome=outcome_badge(decision.outcome),
        category=category_name(decision),
        probability=percent(decision.probability),
        link=object_link(
            site, Decision, decision.pk, badge(label, "good") if decision.is_current else label
        ),
    )
