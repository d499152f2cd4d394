"""Decisions: every answer, the machine's and people's, to be read and never changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.template.loader import render_to_string
from django.urls import path
from django.utils.translation import gettext_lazy as _

from marketplace_ai.models import Decision, get_job_model
from marketplace_ai.models.decision import PERSONS

from .base import ReadOnlyAdmin, visible
from .category_names import stored_category_name
from .display import NOTHING, object_link, outcome_badge, percent, shortened
from .explanation import explain
from .posting_state import ARRAYS, proposed
from .review import ReviewQueue

if TYPE_CHECKING:
    from django.http import HttpRequest


@admin.register(Decision)
class DecisionAdmin(ReadOnlyAdmin):
    list_display = (
        "posting_link",
        "result",
        "category_shown",
        "probability_shown",
        "who",
        "decided_at",
        "is_current",
    )
    list_filter = ("outcome", "is_current")
    list_select_related = ("posting", "category", "decided_by")
    ordering = ("-pk",)
    sortable_by = ()
    change_list_template = "admin/marketplace_ai/decision/change_list.html"
    fields = (
        "posting_link", "result", "category_shown", "probability_shown", "threshold_shown", "who",
        "decided_at",
        "is_current", "encoder", "classifier_version", "votes",
    )  # fmt: skip
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> Any:
        rows = visible(self.admin_site, request, super().get_queryset(request))
        match = request.resolver_match
        # A list shows none of the arrays; the page of one decision shows them all.
        return rows.defer(*ARRAYS) if match and "object_id" not in match.kwargs else rows

    def get_urls(self) -> list[Any]:
        queue = ReviewQueue(Decision, self.admin_site)
        view = self.admin_site.admin_view(queue.changelist_view)
        name = "marketplace_ai_decision_review"
        return [path("review/", view, name=name), *super().get_urls()]

    @admin.display(description=_("posting"))
    def posting_link(self, decision: Decision) -> Any:
        label = shortened(str(decision.posting)) or decision.posting_id
        return object_link(self.admin_site, get_job_model(), decision.posting_id, label)

    @admin.display(description=_("outcome"))
    def result(self, decision: Decision) -> Any:
        return outcome_badge(decision.outcome)

    @admin.display(description=_("category"), empty_value=NOTHING)
    def category_shown(self, decision: Decision) -> Any:
        what = proposed(decision)
        return what.name if what else stored_category_name(decision) or None

    @admin.display(description=_("probability"), empty_value=NOTHING)
    def probability_shown(self, decision: Decision) -> Any:
        return percent(decision.probability) or None

    @admin.display(description=_("threshold"), empty_value=NOTHING)
    def threshold_shown(self, decision: Decision) -> Any:
        return percent(decision.threshold) or None

    @admin.display(description=_("decided by"))
    def who(self, decision: Decision) -> Any:
        if decision.outcome in PERSONS:
            return decision.decided_by or _("deleted user")
        return _("automatic")

    @admin.display(description=_("classifier"), empty_value=NOTHING)
    def classifier_version(self, decision: Decision) -> Any:
        # By its key: the version's own row carries the whole fitted artifact.
        model = Decision._meta.get_field("classifier").related_model
        key = decision.classifier_id
        return object_link(self.admin_site, model, key, key) if key else None

    @admin.display(description=_("choices and matches"))
    def votes(self, decision: Decision) -> Any:
        context = {"explanation": explain(self.admin_site, decision)}
        return render_to_string("admin/marketplace_ai/explanation.html", context)
