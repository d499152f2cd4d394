"""Automation: what is automatic now, the result of its audit, and the stops with their reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, Value
from django.http import Http404, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from marketplace_ai.audit import monitor, stops
from marketplace_ai.audit.basis_wording import basis_report
from marketplace_ai.models import AutomationStop, ClassifierVersion, Encoder

from .automation_table import all_of, automation_rows, stop_reason, stop_subject
from .base import ReadOnlyAdmin
from .category_names import label_names
from .display import NOTHING, badge, object_link

if TYPE_CHECKING:
    from django.contrib.admin import AdminSite
    from django.http import HttpRequest

Rule = AutomationStop.Rule


def automation_url(site: AdminSite) -> str:
    return reverse("admin:marketplace_ai_automationstop_changelist", current_app=site.name)


def active_version() -> ClassifierVersion | None:
    """The active classifier version, without its artifact."""
    return ClassifierVersion.objects.active(Encoder.objects.active())


def stop_count() -> int:
    """The number of active stops."""
    version = active_version()
    return stops.active_stops(version.pk).count() if version else 0


class ReasonForm(forms.Form):
    """The reason why somebody stops or resumes automation."""

    reason = forms.CharField(
        label=_("Reason"), max_length=1000, widget=forms.Textarea(attrs={"rows": 3})
    )


@admin.register(AutomationStop)
class AutomationStopAdmin(ReadOnlyAdmin):
    list_display = ("subject", "stopped_at", "reason_shown", "state", "resumed_on", "resume_reason")
    list_select_related = ("classifier", "category", "stopped_by", "resumed_by")
    ordering = ("-pk",)
    sortable_by = ()
    actions = None
    change_list_template = "admin/marketplace_ai/automationstop/change_list.html"
    fields = (
        "subject", "stopped_at", "stopped_by", "reason_shown", "rows", "errors", "version", "state",
        "resumed_at", "resumed_by", "resume_reason",
    )  # fmt: skip
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> Any:
        rows = super().get_queryset(request)
        version = active_version()
        is_active: Any = Value(False)
        if version is not None:
            is_active = Exists(stops.active_stops(version.pk).filter(pk=OuterRef("pk")))
        return rows.defer("classifier__artifact", "classifier__figures").annotate(
            is_active=is_active
        )

    def has_stop_permission(self, request: HttpRequest) -> bool:
        """Whether this user may stop and resume automation."""
        return bool(request.user.has_perm("marketplace_ai.change_automationstop"))

    def get_urls(self) -> list[Any]:
        view, name = self.admin_site.admin_view, "marketplace_ai_automationstop"
        return [
            path("<int:pk>/resume/", view(self.resume_view), name=f"{name}_resume"),
            path("stop/<str:rule>/", view(self.stop_view), name=f"{name}_stop"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        version = active_version()
        context: dict[str, Any] = {"title": gettext("Automation"), "version": version}
        if version is not None:
            standing = list(stops.active_stops(version.pk).select_related("category", "stopped_by"))
            context["automation_rows"] = automation_rows(
                version, monitor.monitoring_report(version), standing
            )
            context["may_stop"] = self.has_stop_permission(request)
            context["stopped"] = len(standing)
            context["basis"] = basis_report(version)
        return super().changelist_view(request, {**context, **(extra_context or {})})

    def resume_view(self, request: HttpRequest, pk: int) -> Any:
        stop = get_object_or_404(
            AutomationStop.objects.select_related("classifier", "category", "stopped_by"), pk=pk
        )

        def resume(reason: str) -> None:
            if not stops.resume(stop.pk, request.user, reason):
                messages.warning(request, gettext("It has already been resumed."))
                return
            self.log_change(request, stop, gettext("Automation resumed: %s") % reason)
            text = gettext(
                "Automation of %(what)s is resumed. The audit counts from the next posting on; "
                "postings already in review stay there."
            )
            messages.success(request, text % {"what": stop_subject(stop)})

        context = {
            "title": gettext("Resume automation"),
            "subject": stop_subject(stop),
            "reason": stop_reason(stop),
            "resuming": True,
        }
        return self._with_reason(request, context, resume)

    def stop_view(self, request: HttpRequest, rule: str) -> Any:
        version = active_version()
        if version is None or rule not in Rule.values:
            raise Http404
        label = request.GET.get("category")
        rows = version.figures.get("categories", []) if label is not None else []
        row = next((row for row in rows if row["label"] == label), None)
        if label is not None and (row is None or rule != Rule.LEAF):
            raise Http404
        name = label_names([label]).get(label, row["name"]) if row else all_of(rule)

        def stop(reason: str) -> None:
            made = stops.stop(
                version, rule,
                monitor.primary_key(row["label"]) if row else None,
                key=row["key"] if row else "", name=row["name"] if row else "",
                user=request.user, reason=reason,
            )  # fmt: skip
            if made is None:
                messages.warning(request, gettext("It has already been stopped."))
                return
            self.log_addition(request, made, gettext("Automation stopped: %s") % reason)
            text = gettext("Automation of %(what)s is stopped: its postings go to review.")
            messages.success(request, text % {"what": name})

        context = {"title": gettext("Stop automation"), "subject": name, "resuming": False}
        return self._with_reason(request, context, stop)

    def _with_reason(self, request: HttpRequest, context: dict[str, Any], act: Any) -> Any:
        """Ask for a reason, then act on it and go back to the overview."""
        if not self.has_stop_permission(request):
            raise PermissionDenied
        form = ReasonForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            act(form.cleaned_data["reason"])
            return HttpResponseRedirect(automation_url(self.admin_site))
        context |= {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "form": form,
            "media": self.media,
            "overview": automation_url(self.admin_site),
        }
        return TemplateResponse(request, "admin/marketplace_ai/automationstop/reason.html", context)

    @admin.display(description=_("automation of"))
    def subject(self, stop: AutomationStop) -> Any:
        return stop_subject(stop)

    @admin.display(description=_("reason"))
    def reason_shown(self, stop: AutomationStop) -> Any:
        return stop_reason(stop)

    @admin.display(description=_("state"))
    def state(self, stop: Any) -> Any:
        if stop.resumed_at is not None:
            return badge(_("resumed"), "good")
        if stop.is_active:
            return badge(_("stopped"), "bad")
        return badge(_("superseded by a new classifier"))

    @admin.display(description=_("resumed"), empty_value=NOTHING)
    def resumed_on(self, stop: AutomationStop) -> Any:
        return stop.resumed_at

    @admin.display(description=_("classifier"))
    def version(self, stop: AutomationStop) -> Any:
        key = stop.classifier_id
        return object_link(self.admin_site, ClassifierVersion, key, key)
