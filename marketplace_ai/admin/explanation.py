"""A decision of the machine's, made readable: its choices and the matches that voted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _

from marketplace_ai.adapter import JobAdapter, get_adapter
from marketplace_ai.models import (
    Decision,
    Encoder,
    Exemplar,
    ExemplarSource,
    ExemplarState,
    Outcome,
    get_category_model,
)

from .category_names import stored_category_name
from .display import NOTHING, bar_value, object_link, outcome_badge, percent, shortened
from .posting_state import FITS_NONE, proposed

if TYPE_CHECKING:
    from django.contrib.admin import AdminSite
    from django.utils.safestring import SafeString


#: A rest of the score smaller than this is rounding.
LEAST_REST = 0.0005


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the likeliest categories; ``pk`` is empty for "fits none" and for a deleted one."""

    name: Any
    bar: str
    probability: str
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


@dataclass(slots=True)
class Explanation:
    """A machine's decision, ready to be read."""

    decision: Decision
    category: Any
    outcome: SafeString
    probability: str
    bar: str
    threshold: str
    certain: bool
    #: Why there are no matches.
    without_matches: str
    #: Names of the second categories.
    second_categories: list[Any] = field(default_factory=list)
    choices: list[Choice] = field(default_factory=list)
    matches: list[MatchRow] = field(default_factory=list)
    made_with: str = ""


def explain(site: AdminSite, decision: Decision, adapter: JobAdapter | None = None) -> Explanation:
    """A decision with its choices and matches; two queries."""
    adapter = adapter or get_adapter()
    probability, threshold = decision.probability, decision.threshold
    categories = _categories(decision, adapter)
    return Explanation(
        decision=decision,
        category=category_name(decision),
        outcome=outcome_badge(decision.outcome),
        probability=percent(probability),
        bar=bar_value(probability or 0.0),
        threshold=percent(threshold),
        certain=probability is not None and threshold is not None and probability >= threshold,
        without_matches=_without_matches(decision),
        second_categories=[
            adapter.category_name(categories[key]) if key in categories else key
            for key in decision.second_category_keys
        ],
        choices=_choices(decision, categories, adapter),
        matches=_matches(site, decision, adapter),
        made_with=_made_with(decision.encoder, decision.classifier_id),
    )


def _without_matches(decision: Decision) -> str:
    if decision.outcome == Outcome.NONE and decision.probability is None:
        return _(
            "The text has nothing to go by: no letter or digit outside of personal data and web "
            "addresses. So it fits no category."
        )
    return _("No exemplars voted: there were none when this was decided.")


def _categories(decision: Decision, adapter: JobAdapter) -> dict[str, Any]:
    """The categories that the decision names as choices or second categories, by key."""
    keys = [key for key in (*decision.choice_keys, *decision.second_category_keys) if key]
    if not keys:
        return {}
    found = get_category_model()._base_manager.filter(**{f"{adapter.category_key_field}__in": keys})
    return {adapter.category_key(category): category for category in found}


def _choices(decision: Decision, categories: dict[str, Any], adapter: JobAdapter) -> list[Choice]:
    choices = []
    for key, probability in zip(decision.choice_keys, decision.choice_probabilities, strict=True):
        category = categories.get(key)
        name: Any = key or FITS_NONE
        if category is not None:
            name = adapter.category_name(category)
        choices.append(
            Choice(
                name=name,
                bar=bar_value(probability),
                probability=percent(probability),
                pk=category.pk if category is not None else None,
                choosable=category is not None or not key,
            )
        )
    return choices


def _matches(site: AdminSite, decision: Decision, adapter: JobAdapter) -> list[MatchRow]:
    matches = decision.matches
    exemplars = Exemplar.objects.select_related("category").in_bulk(decision.match_exemplars)
    # Bars are read against the largest part, not against a whole that none comes near.
    largest = max([decision.head_share, *decision.match_shares], default=0.0)
    rows = []
    for match in matches:
        exemplar = exemplars.get(match.exemplar_id)
        share, bar = percent(match.share), bar_value(match.share, largest)
        similarity = f"{match.similarity:.2f}"
        if exemplar is None:
            label = _("Exemplar %(pk)d (deleted)") % {"pk": match.exemplar_id}
            rows.append(MatchRow(label, NOTHING, False, similarity, bar, share))
            continue
        none = exemplar.is_none
        category: Any = FITS_NONE if none else exemplar.category_key
        if exemplar.category is not None:
            category = adapter.category_name(exemplar.category)
        active = exemplar.state == ExemplarState.ACTIVE
        words = shortened(exemplar.text, 120)
        if exemplar.source == ExemplarSource.DESCRIPTION:
            words = _("Category description: %(text)s") % {"text": words}
        rows.append(
            MatchRow(
                label=object_link(site, Exemplar, exemplar.pk, words),
                category=category,
                agrees=exemplar.category_id == decision.category_id
                and none == (decision.category_id is None),
                similarity=similarity,
                bar=bar,
                share=share,
                note="" if active else str(ExemplarState(exemplar.state).label),
            )
        )
    if decision.head_share:
        rows.append(
            MatchRow(
                label=_("Classifier weight, learned from all exemplars of the category"),
                category=category_name(decision),
                agrees=True,
                similarity="",
                bar=bar_value(decision.head_share, largest),
                share=percent(decision.head_share),
                own=True,
            )
        )
    rows.sort(key=lambda row: not row.own)
    rest = 1.0 - decision.head_share - sum(decision.match_shares)
    if rows and rest > LEAST_REST:
        rows.append(
            MatchRow(
                label=_("All other exemplars and classifier weights"),
                category=NOTHING,
                agrees=False,
                similarity="",
                bar=bar_value(rest, max(largest, rest)),
                share=percent(rest),
            )
        )
    return rows


def category_name(decision: Decision) -> Any:
    """What the decision says, and whether that category still exists."""
    if decision.category_id is None and decision.category_key:
        return _("%(name)s (deleted)") % {"name": stored_category_name(decision)}
    what = proposed(decision)
    return what.name if what else NOTHING


def _made_with(encoder: Encoder | None, classifier_id: int | None) -> str:
    if encoder is None or classifier_id is None:
        return ""
    return _("encoder %(encoder)s, classifier version %(version)s") % {
        "encoder": encoder.name,
        "version": classifier_id,
    }
