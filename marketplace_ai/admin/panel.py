"""What is shown of one posting: the answer in force, the proposal, the matches that voted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _

from marketplace_ai.adapter import JobAdapter, get_adapter
from marketplace_ai.models import (
    Decision,
    Encoder,
    Exemplar,
    ExemplarState,
    PendingJob,
    get_category_model,
)
from marketplace_ai.models.decision import PERSONS

from .current import FITS_NONE, Proposed, proposed, set_by
from .display import (
    NOTHING,
    admin_url,
    badge,
    bar_value,
    link,
    object_link,
    outcome_badge,
    percent,
    shortened,
)

if TYPE_CHECKING:
    from django.contrib.admin import AdminSite
    from django.utils.safestring import SafeString

#: Decisions of one posting that are listed; few have more than five.
HISTORY = 20


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the likeliest categories; ``pk`` is empty for "fits none" and for a deleted one."""

    name: Any
    bar: str
    chance: str
    pk: Any | None
    choosable: bool


@dataclass(frozen=True, slots=True)
class MatchRow:
    """An exemplar that voted, or the category's own pattern (``own``)."""

    label: SafeString | str
    category: Any
    agrees: bool
    similarity: str
    bar: str
    share: str
    own: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """One decision in the posting's history."""

    when: Any
    who: str
    outcome: SafeString
    category: Any
    chance: str
    link: SafeString


@dataclass(slots=True)
class Explanation:
    """A machine's decision, ready to be read."""

    decision: Decision
    category: Any
    outcome: SafeString
    chance: str
    bar: str
    threshold: str
    certain: bool
    choices: list[Choice] = field(default_factory=list)
    matches: list[MatchRow] = field(default_factory=list)
    made_with: str = ""


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
    pending: PendingJob | None
    pending_link: SafeString | str = ""


def panel(site: AdminSite, job: Any) -> Panel:
    """Read everything about one posting: five queries, however many matches it has."""
    adapter = get_adapter()
    rows = list(
        Decision.objects.filter(job_id=job.pk)
        .select_related("decided_by", "encoder")
        .order_by("-pk")[:HISTORY]
    )
    current = next((row for row in rows if row.current), None)
    machine = next((row for row in rows if row.outcome not in PERSONS), None)
    pending = PendingJob.objects.filter(job_id=job.pk, encoder__isnull=True).first()
    what = proposed(current)
    # An answer that was given already is not there to be confirmed once more.
    if current is not None and current.outcome in PERSONS:
        what = None
    return Panel(
        decision=current,
        outcome=outcome_badge(current.outcome) if current else None,
        category=_category_name(current) if current else "",
        set_by=set_by(adapter.category_id(job), current),
        proposed=what,
        machine=explain(site, machine, adapter) if machine else None,
        history=[_event(site, row) for row in rows],
        pending=pending,
        pending_link=link(admin_url(site, PendingJob, "change", pending.pk), _("Its row in the queue"))
        if pending
        else "",
    )


def explain(site: AdminSite, decision: Decision, adapter: JobAdapter | None = None) -> Explanation:
    """A decision with its choices and matches; two queries."""
    adapter = adapter or get_adapter()
    probability, threshold = decision.probability, decision.threshold
    return Explanation(
        decision=decision,
        category=_category_name(decision),
        outcome=outcome_badge(decision.outcome),
        chance=percent(probability),
        bar=bar_value(probability or 0.0),
        threshold=percent(threshold),
        certain=probability is not None and threshold is not None and probability >= threshold,
        choices=_choices(decision, adapter),
        matches=_matches(site, decision, adapter),
        made_with=_made_with(decision.encoder, decision.classifier_id),
    )


def _choices(decision: Decision, adapter: JobAdapter) -> list[Choice]:
    keys = decision.choice_keys
    if not keys:
        return []
    field_name = adapter.category_key_field
    found = get_category_model()._base_manager.filter(**{f"{field_name}__in": [k for k in keys if k]})
    categories = {adapter.category_key(category): category for category in found}
    choices = []
    for key, chance in zip(keys, decision.choice_probabilities, strict=True):
        category = categories.get(key)
        name: Any = FITS_NONE if not key else key
        if category is not None:
            name = adapter.category_name(category)
        choices.append(
            Choice(
                name=name,
                bar=bar_value(chance),
                chance=percent(chance),
                pk=category.pk if category is not None else None,
                choosable=category is not None or not key,
            )
        )
    return choices


def _matches(site: AdminSite, decision: Decision, adapter: JobAdapter) -> list[MatchRow]:
    matches = decision.matches
    exemplars = Exemplar.objects.select_related("category").in_bulk(decision.match_exemplars)
    # Bars are read against the largest part, not against a whole that none comes near.
    largest = max([decision.own_share, *decision.match_shares], default=0.0)
    rows = []
    for match in matches:
        exemplar = exemplars.get(match.exemplar_id)
        share, bar = percent(match.share), bar_value(match.share, largest)
        similarity = f"{match.similarity:.2f}"
        if exemplar is None:
            label = _("Exemplar %(pk)d, deleted since") % {"pk": match.exemplar_id}
            rows.append(MatchRow(label, NOTHING, False, similarity, bar, share))
            continue
        none = exemplar.is_none
        category: Any = FITS_NONE if none else exemplar.category_key
        if exemplar.category is not None:
            category = adapter.category_name(exemplar.category)
        active = exemplar.state == ExemplarState.ACTIVE
        rows.append(
            MatchRow(
                label=object_link(site, Exemplar, exemplar.pk, shortened(exemplar.text, 160)),
                category=category,
                agrees=exemplar.category_id == decision.category_id
                and none == (decision.category_id is None),
                similarity=similarity,
                bar=bar,
                share=share,
                note="" if active else str(ExemplarState.QUARANTINED.label),
            )
        )
    if decision.own_share:
        rows.append(
            MatchRow(
                label=_("The category's own pattern, learnt from all its exemplars"),
                category=_category_name(decision),
                agrees=True,
                similarity="",
                bar=bar_value(decision.own_share, largest),
                share=percent(decision.own_share),
                own=True,
            )
        )
    return sorted(rows, key=lambda row: not row.own)


def _event(site: AdminSite, decision: Decision) -> Event:
    person = decision.outcome in PERSONS
    user: Any = decision.decided_by
    who = _("a person who was deleted since") if person else _("automatic")
    if user is not None:
        who = user.get_username()
    label = _("in force") if decision.current else _("superseded")
    return Event(
        when=decision.decided,
        who=who,
        outcome=outcome_badge(decision.outcome),
        category=_category_name(decision),
        chance=percent(decision.probability),
        link=object_link(
            site, Decision, decision.pk, badge(label, "good") if decision.current else label
        ),
    )


def _category_name(decision: Decision) -> Any:
    if decision.category_id is None and decision.category_key:
        return _("%(name)s (deleted since)") % {"name": decision.category_name}
    what = proposed(decision)
    return what.name if what else NOTHING


def _made_with(encoder: Encoder | None, classifier_id: int | None) -> str:
    if encoder is None or classifier_id is None:
        return ""
    return _("encoder %(encoder)s, classifier version %(version)s") % {
        "encoder": encoder.name,
        "version": classifier_id,
    }

