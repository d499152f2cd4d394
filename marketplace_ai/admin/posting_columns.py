"""Columns about a posting's category, filled for a whole page of postings at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from .display import NOTHING, badge, outcome_badge, percent
from .posting_state import State, states

if TYPE_CHECKING:
    from django.http import HttpRequest

#: The hidden inputs of a list: the decisions that were on the page when it was looked at.
SHOWN = "mai_shown"
ATTRIBUTE = "_marketplace_ai_state"


class PostingList(ChangeList):
    """Reads the decisions of a page in one go; a column that asked by itself would ask per row."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        jobs = list(self.result_list)
        found = states(jobs)
        for job in jobs:
            setattr(job, ATTRIBUTE, found[job.pk])
        # A queryset where list_editable builds its forms; its rows are read already.
        if not hasattr(self.result_list, "_result_cache"):
            self.result_list = jobs


class PostingColumns:
    """The columns; a host's ModelAdmin may name them in its ``list_display`` where it likes."""

    posting_columns = ("given_category", "category_by", "probability", "outcome")

    @admin.display(description=_("category"), empty_value=NOTHING)
    def given_category(self, job: Any) -> Any:
        state = _state(job)
        if state.proposal is None:
            return state.category_name or None
        text = _("proposed: %(name)s") % {"name": state.proposal}
        return format_html('{} <span class="mai-quiet">{}</span>', state.category_name, text)

    @admin.display(description=_("set by"))
    def category_by(self, job: Any) -> Any:
        return _state(job).set_by

    @admin.display(description=_("probability"), empty_value=NOTHING)
    def probability(self, job: Any) -> Any:
        decision = _state(job).decision
        return percent(decision.probability) or None if decision else None

    @admin.display(description=_("outcome"))
    def outcome(self, job: Any) -> Any:
        state = _state(job)
        if state.decision is not None:
            return format_html(
                '{}<input type="hidden" name="{}" value="{}">',
                outcome_badge(state.decision.outcome),
                SHOWN,
                state.decision.pk,
            )
        if state.queue_entry is not None and state.queue_entry.failed_at is not None:
            return badge(_("failed"), "bad")
        return badge(_("waiting") if state.queue_entry is not None else _("no decision"))


def _state(job: Any) -> State:
    """What the list has read; a posting that comes another way is read by itself."""
    state = getattr(job, ATTRIBUTE, None)
    return state if isinstance(state, State) else states([job])[job.pk]
