"""The log of refits: when each was due and why, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from marketplace_ai.models import ClassifierVersion, Refit, RefitOutcome, RefitTrigger
from marketplace_ai.refitting import log, wording

from .base import ReadOnlyAdmin
from .display import NOTHING, badge, object_link

if TYPE_CHECKING:
    from django.http import HttpRequest

TONES: dict[str, str] = {
    RefitOutcome.RUNNING: "quiet",
    RefitOutcome.ACTIVATED: "good",
    RefitOutcome.PROPOSED: "attention",
    RefitOutcome.REFUSED: "attention",
    RefitOutcome.FAILED: "bad",
    RefitOutcome.INTERRUPTED: "bad",
    RefitOutcome.UNDONE: "person",
}


@admin.register(Refit)
class RefitAdmin(ReadOnlyAdmin):
    list_display = (
        "started_at", "outcome_shown", "triggers_shown", "result_shown", "version_shown",
    )  # fmt: skip
    list_select_related = ("version",)
    list_filter = ("outcome",)
    ordering = ("-pk",)
    sortable_by = ()
    change_list_template = "admin/marketplace_ai/refit/change_list.html"
    fields = (
        "started_at", "finished_at", "outcome_shown", "triggers_shown", "result_shown",
        "version_shown", "previous_version_shown", "encoder", "drift_shown", "labels_shown",
    )  # fmt: skip
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> Any:
        # The fitted artifact is megabytes, and nobody reads it here.
        return super().get_queryset(request).defer("version__artifact", "version__figures")

    @admin.display(description=_("outcome"))
    def outcome_shown(self, row: Refit) -> Any:
        outcome = row.outcome
        if outcome == RefitOutcome.RUNNING and not log.is_running():
            outcome = RefitOutcome.INTERRUPTED
        label = dict(RefitOutcome.choices).get(outcome, outcome)
        return badge(label, TONES.get(outcome, "quiet"))

    @admin.display(description=_("due by"))
    def triggers_shown(self, row: Refit) -> str:
        labels = dict(RefitTrigger.choices)
        return ", ".join(str(labels.get(trigger, trigger)) for trigger in row.triggers)

    @admin.display(description=_("result"))
    def result_shown(self, row: Refit) -> str:
        is_running = row.outcome == RefitOutcome.RUNNING and log.is_running()
        return wording.outcome_sentence(row, is_running=is_running)

    @admin.display(description=_("version"))
    def version_shown(self, row: Refit) -> str:
        return self._link(row.version_id)

    @admin.display(description=_("version before"))
    def previous_version_shown(self, row: Refit) -> str:
        return self._link(row.previous_version_id)

    def _link(self, pk: int | None) -> str:
        # A page, unlike a list, would show None as such.
        return NOTHING if pk is None else object_link(self.admin_site, ClassifierVersion, pk, pk)

    @admin.display(description=_("drift"))
    def drift_shown(self, row: Refit) -> str:
        if "drift" not in row.figures:
            return NOTHING
        return " ".join(wording.drift_lines(row.figures["drift"]))

    @admin.display(description=_("labels"))
    def labels_shown(self, row: Refit) -> str:
        return wording.labels_line(row.figures) if "needed" in row.figures else NOTHING
