"""Activating a classifier version: the button, and the page that asks for confirmation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponseRedirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from marketplace_ai.admin.base import ReadOnlyAdmin
from marketplace_ai.admin.display import NOTHING, badge, percent
from marketplace_ai.audit.basis_wording import basis_report
from marketplace_ai.models import ClassifierVersion, Encoder

from .comparison import comparison_context

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse


class ActivationForm(forms.Form):
    """The version that was active on the page where the button was pressed."""

    instead_of = forms.IntegerField(required=False, widget=forms.HiddenInput)


class ActivationMixin(ReadOnlyAdmin):
    """The columns of classifier versions, and the button that activates one."""

    change_form_template = "admin/marketplace_ai/classifierversion/change_form.html"

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.activate_view)
        name = "marketplace_ai_classifierversion_activate"
        return [path("<path:object_id>/activate/", view, name=name), *super().get_urls()]

    def has_activate_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("marketplace_ai.change_classifierversion"))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> Any:
        context = dict(extra_context or {})
        version = self.get_object(request, unquote(object_id))
        if version is not None and self.has_activate_permission(request) and not why_not(version):
            context["mai_activate_url"] = self._url("activate", version.pk)
        return super().change_view(request, object_id, form_url, context)

    def activate_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask first, then activate the version; the message links back to the former one."""
        version = self.get_object(request, unquote(object_id))
        if version is None:
            raise Http404
        if not self.has_activate_permission(request):
            raise PermissionDenied
        page = self._url("change", version.pk)
        if reason := why_not(version):
            messages.warning(request, reason)
            return HttpResponseRedirect(page)
        if request.method == "POST":
            form = ActivationForm(request.POST)
            if form.is_valid():
                self._activate(request, version, form.cleaned_data["instead_of"])
            return HttpResponseRedirect(page)
        now = ClassifierVersion.objects.active(version.encoder)
        columns = [shown for shown in (version, now) if shown is not None]
        context = {
            **self.admin_site.each_context(request),
            "title": _("Activate version %s?") % version.pk,
            "opts": self.opts,
            "version": version,
            "page": page,
            "columns": columns,
            "rows": [
                (title, [show(column) or NOTHING for column in columns])
                for title, show in self._facts()
            ],
            "compared": self.comparison_shown(version),
            "form": ActivationForm(initial={"instead_of": now.pk if now else None}),
            "media": self.media,
        }
        template = "admin/marketplace_ai/classifierversion/activate.html"
        return TemplateResponse(request, template, context)

    def _facts(self) -> list[tuple[Any, Callable[[ClassifierVersion], Any]]]:
        """What a person should see of both versions before answering."""
        return [
            (_("created"), lambda version: version.created_at),
            (_("guarantee"), self.guarantee_shown),
            (_("calibrated on"), lambda version: version.get_calibrated_on_display()),
            (_("rests on"), self.basis_shown),
            (_("first choice correct"), self.first_choice),
            (_("automatic"), self.automatic_share),
        ]

    def _activate(self, request: HttpRequest, version: ClassifierVersion, seen: int | None) -> None:
        # Imported here: they bring numeric libraries, which web processes do without until then.
        from marketplace_ai.classifier import ArtifactError
        from marketplace_ai.versions import activation

        try:
            before = activation.activate(version.pk, expected=seen)
        except activation.VersionError as error:
            messages.error(request, str(error))
        except ArtifactError as error:
            text = gettext("Version %(n)s cannot be loaded; nothing was changed: %(error)s.")
            messages.error(request, text % {"n": version.pk, "error": error})
        else:
            self.log_change(request, version, gettext("Activated."))
            text = gettext("Version %(n)s is active; workers switch with their next batch.")
            message = format_html("{}", text % {"n": version.pk})
            if before is not None:
                back = gettext("Activate version %(n)s again") % {"n": before}
                message = format_html(
                    '{} <a href="{}">{}</a>', message, self._url("activate", before), back
                )
            messages.success(request, message)

    def _url(self, name: str, pk: int) -> str:
        return reverse(
            f"admin:marketplace_ai_classifierversion_{name}",
            args=[pk],
            current_app=self.admin_site.name,
        )

    @admin.display(description=_("state"))
    def state_shown(self, version: ClassifierVersion) -> Any:
        if version.is_active:
            return badge(_("active"), "good")
        if version.is_discarded:
            return badge(_("no longer stored"))
        if version.activated_at is None and version.comparison.get("failed_checks"):
            return badge(_("not activated"), "attention")
        return NOTHING

    @admin.display(description=_("replaced"), empty_value=NOTHING)
    def replaced_shown(self, version: ClassifierVersion) -> Any:
        return None if version.is_active else version.replaced_at

    @admin.display(description=_("guarantee"))
    def target_shown(self, version: ClassifierVersion) -> Any:
        return percent(version.target_precision)

    @admin.display(description=_("guarantee"))
    def guarantee_shown(self, version: ClassifierVersion) -> Any:
        return _("%(target)s correct with %(confidence)s confidence") % {
            "target": percent(version.target_precision),
            "confidence": percent(version.confidence_level),
        }

    @admin.display(description=_("rests on"), empty_value=NOTHING)
    def basis_shown(self, version: ClassifierVersion) -> Any:
        report = basis_report(version)
        return report and f"{report['sentence']} {report['out_of_scope_sentence']}".strip()

    @admin.display(description=_("first choice correct"), empty_value=NOTHING)
    def first_choice(self, version: ClassifierVersion) -> Any:
        return percent(version.figures.get("first_choice")) or None

    @admin.display(description=_("automatic"), empty_value=NOTHING)
    def automatic_share(self, version: ClassifierVersion) -> Any:
        return percent(version.figures.get("automatic", {}).get("coverage")) or None

    @admin.display(description=_("comparison"), empty_value=NOTHING)
    def comparison_shown(self, version: ClassifierVersion) -> Any:
        if not version.comparison:
            return None
        return render_to_string(
            "admin/marketplace_ai/classifierversion/comparison.html",
            comparison_context(version.comparison),
        )


def why_not(version: ClassifierVersion) -> str | None:
    """Why a version cannot be activated; None where it can."""
    if version.is_active:
        return gettext("Version %(n)s is already active.") % {"n": version.pk}
    if version.is_discarded:
        return gettext("Version %(n)s is no longer stored; only the latest ones are.") % {
            "n": version.pk
        }
    active = Encoder.objects.active()
    if active is None or active.pk != version.encoder_id:
        return gettext("Version %(n)s was fitted for an encoder that is not active.") % {
            "n": version.pk
        }
    return None
