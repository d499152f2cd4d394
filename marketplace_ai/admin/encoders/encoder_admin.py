"""Encoders and classifier versions: which one is active, and its guarantee."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import F, OuterRef, Q, Subquery
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from marketplace_ai.admin.category_names import label_names
from marketplace_ai.admin.display import NOTHING, badge, object_link, percent
from marketplace_ai.admin.versions.activate import ActivationMixin
from marketplace_ai.guarantee import minimum_counts
from marketplace_ai.models import (
    ClassifierVersion,
    Encoder,
    EncoderState,
    Promotion,
)

from . import shadow
from .comparison import comparison_context, failed_checks
from .promote import PromotionMixin

if TYPE_CHECKING:
    from django.http import HttpRequest

STATES = {EncoderState.ACTIVE: "good", EncoderState.BUILDING: "attention"}
CANDIDATES = (EncoderState.BUILDING, EncoderState.READY)
#: The rules of a version, in the order in which they are tried.
RULES = {
    "automatic": _("category"),
    "parent": _("parent only"),
    "none": _("fits none"),
}


@admin.register(Encoder)
class EncoderAdmin(PromotionMixin):
    list_display = (
        "name", "state_shown", "first_choice", "automatic_share", "compared",
        "registered_at", "activated_at",
    )  # fmt: skip
    ordering = ("-pk",)
    sortable_by = ()
    readonly_fields = (
        "name", "state_shown", "classifier_shown", "shadow_shown", "comparison_shown",
        "history_shown", "source", "revision", "dimension", "max_tokens", "dtype",
        "weights_hash", "prompts_shown", "metrics_shown", "registered_at", "activated_at",
        "replaced_at",
        "retired_at",
    )  # fmt: skip
    fieldsets = (
        (None, {"fields": ("name", "state_shown", "classifier_shown", "shadow_shown")}),
        (_("Comparison with the active encoder"), {"fields": ("comparison_shown",)}),
        (_("Promotions"), {"fields": ("history_shown",)}),
        (_("Model"), {"fields": readonly_fields[6:]}),
    )

    def get_queryset(self, request: HttpRequest) -> Any:
        rows = super().get_queryset(request)
        match = request.resolver_match
        if match and "object_id" in match.kwargs:
            return rows
        # A list needs none of the texts that were compared, and of the figures only two.
        figures = ClassifierVersion.objects.filter(encoder=OuterRef("pk"), is_active=True)
        return rows.defer("comparison", "metrics").annotate(
            failed_checks=F("comparison__failed_checks"),
            first_right=Subquery(figures.values("figures__first_choice")[:1]),
            coverage=Subquery(figures.values("figures__automatic__coverage")[:1]),
        )

    @admin.display(description=_("state"))
    def state_shown(self, encoder: Encoder) -> Any:
        state = EncoderState(encoder.state)
        shown = badge(state.label, STATES.get(state, "quiet"))
        if encoder.is_shadowing and state in CANDIDATES:
            shown = format_html("{} {}", shown, badge(_("shadow mode")))
        return shown

    @admin.display(description=_("first choice correct"), empty_value=NOTHING)
    def first_choice(self, encoder: Any) -> Any:
        return percent(encoder.first_right) or None

    @admin.display(description=_("automatic"), empty_value=NOTHING)
    def automatic_share(self, encoder: Any) -> Any:
        return percent(encoder.coverage) or None

    @admin.display(description=_("comparison"), empty_value=NOTHING)
    def compared(self, encoder: Any) -> Any:
        if encoder.failed_checks is None:
            return None
        if encoder.failed_checks:
            return badge(_("regression"), "attention")
        return badge(_("no regression"), "good")

    @admin.display(description=_("classifier"))
    def classifier_shown(self, encoder: Encoder) -> Any:
        rows = ClassifierVersion.objects.filter(encoder=encoder, is_active=True)
        found = rows.values_list(
            "pk", "figures__first_choice", "figures__automatic__coverage"
        ).first()
        if found is None:
            return _("none is active; fit one: fit_classifier --encoder %s") % encoder
        version, first, automatic = found
        text = _("first choice correct %(first)s, automatic %(automatic)s") % {
            "first": percent(first) or NOTHING,
            "automatic": percent(automatic) or NOTHING,
        }
        shown = object_link(self.admin_site, ClassifierVersion, version, version)
        return format_html("{} ({})", shown, text)

    @admin.display(description=_("shadow mode"))
    def shadow_shown(self, encoder: Encoder) -> Any:
        if encoder.state not in CANDIDATES:
            return NOTHING
        found = shadow.agreement(encoder)
        if not found.decided:
            return _("no shadow decisions yet; start shadow mode: encoders --shadow %s") % encoder
        return _(
            "%(decided)s shadow decisions; %(share)s of %(compared)s agree with the decision of "
            "the active encoder or a person"
        ) % {
            "decided": found.decided,
            "compared": found.compared,
            "share": percent(found.share) or NOTHING,
        }

    @admin.display(description=_("comparison"))
    def comparison_shown(self, encoder: Encoder) -> Any:
        if not encoder.comparison:
            return NOTHING
        labels = [row["label"] for row in encoder.comparison.get("categories", [])]
        return render_to_string(
            "admin/marketplace_ai/encoder/comparison.html",
            comparison_context(encoder.comparison, label_names(labels)),
        )

    @admin.display(description=_("history"))
    def history_shown(self, encoder: Encoder) -> Any:
        rows = Promotion.objects.filter(Q(encoder=encoder) | Q(previous_encoder=encoder)).order_by(
            "-pk"
        )
        shown = rows.select_related("encoder", "previous_encoder", "switched_by").defer(
            "comparison", "encoder__comparison", "previous_encoder__comparison"
        )
        promotions = [
            {"row": row, "failed_checks": failed_checks(row.failed_checks or ())}
            for row in shown.annotate(failed_checks=F("comparison__failed_checks"))
        ]
        return render_to_string(
            "admin/marketplace_ai/encoder/history.html", {"promotions": promotions}
        )

    @admin.display(description=_("prompts"))
    def prompts_shown(self, encoder: Encoder) -> Any:
        return as_json(encoder.prompts) or NOTHING

    @admin.display(description=_("metrics"))
    def metrics_shown(self, encoder: Encoder) -> Any:
        return as_json(encoder.metrics) or NOTHING


@admin.register(ClassifierVersion)
class ClassifierVersionAdmin(ActivationMixin):
    list_display = (
        "version", "state_shown", "first_choice", "automatic_share", "target_shown", "created_at",
        "replaced_shown", "calibrated_on", "encoder",
    )  # fmt: skip
    list_select_related = ("encoder",)
    ordering = ("-pk",)
    sortable_by = ()
    fields = (
        "version", "encoder", "state_shown", "activated_at", "replaced_shown", "guarantee_shown",
        "calibrated_on", "basis_shown", "exemplar_generation", "created_at", "comparison_shown",
        "rules_shown",
    )  # fmt: skip
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> Any:
        # The fitted artifact is megabytes, and nobody reads it here.
        return super().get_queryset(request).defer("artifact")

    @admin.display(description=_("version"))
    def version(self, version: ClassifierVersion) -> Any:
        return version.pk

    @admin.display(description=_("rules and categories"))
    def rules_shown(self, version: ClassifierVersion) -> Any:
        figures = version.figures
        if not isinstance(figures, dict) or "categories" not in figures:
            return as_json(figures) or NOTHING
        return render_to_string(
            "admin/marketplace_ai/classifierversion/rules.html",
            {
                "target": percent(version.target_precision),
                "confidence": percent(version.confidence_level),
                "first_choice": percent(figures.get("first_choice")),
                "rows": figures.get("rows"),
                "rules": [_rule(name, figures[name]) for name in RULES if name in figures],
                "categories": _categories(figures["categories"]),
            },
        )


def _rule(name: str, rule: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": RULES[name],
        "threshold": percent(rule.get("threshold")) or NOTHING,
        "guaranteed": rule.get("threshold") is not None,
        "rows": rule.get("rows"),
        "errors": rule.get("errors"),
        "coverage": percent(rule.get("coverage")),
        "needed": rule.get("rows_needed"),
    }


def _categories(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The figures of each category with its current name, those with automatic rows first."""
    names = label_names([row["label"] for row in rows])
    shown = [
        {
            **row,
            "name": names.get(row["label"])
            or _("%s (deleted)") % (row.get("name") or row["label"]),
            "few": _few(row.get("exemplars")),
        }
        for row in rows
    ]
    return sorted(shown, key=lambda row: (-row.get("automatic", 0), str(row["name"])))


def _few(exemplars: int | None) -> str:
    """Why the guarantee over all categories leaves this one out; "" where it does not."""
    if exemplars is None or exemplars >= minimum_counts.MIN_EXEMPLARS_FOR_GUARANTEE:
        return ""
    return gettext("too few exemplars (%(n)d of %(minimum)d): own rows only") % {
        "n": exemplars,
        "minimum": minimum_counts.MIN_EXEMPLARS_FOR_GUARANTEE,
    }


def as_json(value: Any) -> Any:
    """A value as readable JSON; None for an empty one."""
    if not value:
        return None
    text = json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)
    return format_html('<pre class="mai-json">{}</pre>', text)
