"""Making an encoder the active one, and going back: the buttons, and the pages that ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from marketplace_ai.models import ClassifierVersion, Encoder, EncoderState, PromotionKind
from marketplace_ai.promotion import eligibility
from marketplace_ai.versions.errors import VersionError

from .predicted_changes import PredictedChangesMixin

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


CHANGED = _("Another encoder or version was activated in the meantime. Check this page again.")


class SeenForm(forms.Form):
    """What was on the page where the button was pressed: the encoder that was active, the
    classifier that would decide with the other one, and ``before``, its active classifier."""

    instead_of = forms.IntegerField(required=False, widget=forms.HiddenInput)
    version = forms.IntegerField(required=False, widget=forms.HiddenInput)
    before = forms.IntegerField(required=False, widget=forms.HiddenInput)


class PromotionMixin(PredictedChangesMixin):
    """The buttons that promote an encoder or roll back, or the reason why one is missing."""

    change_form_template = "admin/marketplace_ai/encoder/change_form.html"

    def get_urls(self) -> list[Any]:
        view, name = self.admin_site.admin_view, "marketplace_ai_encoder"
        return [
            path(f"<path:object_id>/{what}/", view(method), name=f"{name}_{what}")
            for what, method in (
                ("promote", self.promote_view),
                ("rollback", self.rollback_view),
                ("changes", self.changes_view),
            )
        ] + super().get_urls()

    def comparison_shown(self, encoder: Encoder) -> Any:
        """A hook: the comparison with the active encoder as HTML, for the page that asks."""
        raise NotImplementedError

    def has_switch_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("marketplace_ai.change_encoder"))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> Any:
        context = dict(extra_context or {})
        encoder = self.get_object(request, unquote(object_id))
        if encoder is not None:
            may_switch = self.has_switch_permission(request)
            if encoder.state == EncoderState.ACTIVE:
                if may_switch and way_back(encoder)[0] is not None:
                    context["mai_rollback_url"] = self._url("rollback", encoder.pk)
            elif (reason := why_not(encoder)) is not None:
                context["mai_why_not"] = reason
            elif may_switch:
                context["mai_promote_url"] = self._url("promote", encoder.pk)
            changes = encoder.state != EncoderState.ACTIVE or encoder.comparison.get("changed")
            if changes and request.user.has_perm("marketplace_ai.view_decision"):
                context["mai_changes_url"] = self._url("changes", encoder.pk)
        return super().change_view(request, object_id, form_url, context)

    # Within a request's transaction the switch would hold its locks until that ends.
    @method_decorator(transaction.non_atomic_requests)
    def promote_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask first, then make the encoder active with the classifier that was compared."""
        encoder = self._asked_for(request, object_id)
        if reason := why_not(encoder):
            return self._back(request, encoder, reason)
        active = Encoder.objects.active()
        version = encoder.comparison["version"]
        if request.method == "POST":
            form = SeenForm(request.POST)
            if form.is_valid():
                seen = form.cleaned_data
                if seen["version"] != version:
                    return self._back(
                        request,
                        encoder,
                        gettext("It was compared again in the meantime. Check the new comparison."),
                    )
                self._switch(request, encoder, version, seen)
                return HttpResponseRedirect(self._url("change", encoder.pk))
            return self._back(request, encoder, CHANGED)
        context = {
            "title": gettext("Make %(name)s the active encoder?") % {"name": encoder},
            "button": gettext("Promote"),
            "compared": self.comparison_shown(encoder),
        }
        return self._ask(request, encoder, active, version, context, classifier_of(encoder))

    @method_decorator(transaction.non_atomic_requests)
    def rollback_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask first, then go back from this encoder to the one that was active before."""
        encoder = self._asked_for(request, object_id)
        if encoder.state != EncoderState.ACTIVE:
            return self._back(
                request, encoder, gettext("The encoder %(name)s is not active.") % {"name": encoder}
            )
        before, reason = way_back(encoder)
        if before is None:
            return self._back(request, encoder, reason)
        if request.method == "POST":
            form = SeenForm(request.POST)
            if form.is_valid():
                seen = form.cleaned_data
                if seen["version"] != classifier_of(before):
                    return self._back(request, encoder, CHANGED)
                active = Encoder.objects.filter(pk=seen["instead_of"]).first()
                self._roll_back(request, active, before)
                return HttpResponseRedirect(self._url("change", before.pk))
            return self._back(request, encoder, CHANGED)
        version = classifier_of(before)
        context = {
            "title": gettext("Roll back from %(name)s to %(before)s?")
            % {"name": encoder, "before": before},
            "button": gettext("Roll back"),
            "unfitted": version is None,
        }
        return self._ask(request, encoder, encoder, version, context)

    def _asked_for(self, request: HttpRequest, object_id: str) -> Encoder:
        encoder: Encoder | None = self.get_object(request, unquote(object_id))
        if encoder is None:
            raise Http404
        if not self.has_switch_permission(request):
            raise PermissionDenied
        return encoder

    def _back(self, request: HttpRequest, encoder: Encoder, reason: Any) -> HttpResponse:
        messages.warning(request, reason)
        return HttpResponseRedirect(self._url("change", encoder.pk))

    def _ask(
        self,
        request: HttpRequest,
        encoder: Encoder,
        active: Encoder | None,
        version: int | None,
        context: dict[str, Any],
        before: int | None = None,
    ) -> HttpResponse:
        form = SeenForm(
            initial={
                "instead_of": active.pk if active else None,
                "version": version,
                "before": before,
            }
        )
        context |= {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "encoder": encoder,
            "active": active,
            "page": self._url("change", encoder.pk),
            "form": form,
            "media": self.media,
        }
        return TemplateResponse(request, "admin/marketplace_ai/encoder/switch.html", context)

    def _switch(
        self, request: HttpRequest, encoder: Encoder, version: int, seen: dict[str, Any]
    ) -> None:
        # Imported here: they bring numeric libraries, which web processes do without until then.
        from marketplace_ai.classifier import ArtifactError
        from marketplace_ai.promotion import promote
        from marketplace_ai.versions import activation

        try:
            activation.load(version)
            promote.switch_encoder(
                encoder,
                expected=Encoder.objects.filter(pk=seen["instead_of"]).first(),
                classifier=promote.ClassifierChange(
                    ClassifierVersion.objects.defer("artifact").get(pk=version), seen["before"]
                ),
                record=promote.PromotionRecord(
                    kind=PromotionKind.PROMOTED,
                    comparison=eligibility.without_texts(encoder.comparison),
                    user=request.user,
                ),
            )
        except VersionError as error:
            messages.error(request, str(error))
        except ArtifactError as error:
            self._unusable(request, encoder, error)
        else:
            self.log_change(request, encoder, gettext("Activated."))
            text = gettext("The encoder %(name)s is active; workers switch with their next batch.")
            messages.success(request, text % {"name": encoder})

    def _roll_back(self, request: HttpRequest, instead_of: Encoder | None, before: Encoder) -> None:
        from marketplace_ai.classifier import ArtifactError
        from marketplace_ai.promotion import promote

        try:
            made = promote.roll_back(expected=instead_of, user=request.user)
        except VersionError as error:
            messages.error(request, str(error))
        except ArtifactError as error:
            self._unusable(request, before, error)
        else:
            self.log_change(request, made.encoder, gettext("Activated by rollback."))
            text = gettext(
                "The encoder %(name)s is active again; workers switch with their next batch."
            )
            messages.success(request, text % {"name": made.encoder})

    def _unusable(self, request: HttpRequest, encoder: Encoder, error: Exception) -> None:
        text = gettext(
            "The classifier of %(name)s cannot be loaded; nothing was changed: %(error)s."
        )
        messages.error(request, text % {"name": encoder, "error": error})

    def _url(self, name: str, pk: int) -> str:
        return reverse(
            f"admin:marketplace_ai_encoder_{name}", args=[pk], current_app=self.admin_site.name
        )


def classifier_of(encoder: Encoder | None) -> int | None:
    """The primary key of the encoder's active classifier version."""
    return ClassifierVersion.objects.active_id(encoder)


def way_back(active: Encoder) -> tuple[Encoder | None, str]:
    """The encoder to go back to; None with the reason where there is none."""
    try:
        return eligibility.previous_encoder(active), ""
    except VersionError as error:
        return None, str(error)


def why_not(encoder: Encoder) -> str | None:
    """Why a page cannot make this encoder active, and which command can; None where it can."""
    if reason := eligibility.activation_blocker(encoder):
        return reason
    name = {"name": encoder}
    if encoder.state == EncoderState.ACTIVE:
        return gettext("The encoder %(name)s is already active.") % name
    found = encoder.comparison
    if not found:
        return (
            gettext(
                "It has not been compared with the active encoder yet. Run: "
                "activate_encoder %(name)s --calibration FILE --dry-run"
            )
            % name
        )
    if found["failed_checks"]:
        return (
            gettext(
                "Checks of its comparison failed, so it cannot be promoted here. To promote it "
                "anyway, run: activate_encoder %(name)s --force --reason TEXT"
            )
            % name
        )
    active = Encoder.objects.active()
    against = found["active_encoder"] or {"id": None, "version": None}
    now = (active.pk if active else None, classifier_of(active) if active else None)
    if (against["id"], against["version"]) != now:
        return (
            gettext(
                "Another encoder or classifier has been activated since it was compared. Compare "
                "it again: activate_encoder %(name)s --calibration FILE --dry-run"
            )
            % name
        )
    stored = ClassifierVersion.objects.filter(
        pk=found["version"], encoder=encoder, is_discarded=False
    )
    if not stored.exists():
        return (
            gettext(
                "The compared classifier is no longer stored. Compare it again: "
                "activate_encoder %(name)s --calibration FILE --dry-run"
            )
            % name
        )
    return None
