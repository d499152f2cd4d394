"""Encoders and classifier versions: what is in force, and what it proved."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from marketplace_ai import enough
from marketplace_ai.adapter import get_adapter
from marketplace_ai.models import ClassifierVersion, Encoder, EncoderState, get_category_model

from .base import ReadOnlyAdmin
from .display import NOTHING, badge, percent
from .versions import PuttingInForce

if TYPE_CHECKING:
    from django.http import HttpRequest

STATES = {EncoderState.ACTIVE: "good", EncoderState.BUILDING: "attention"}
#: The rules of a promise, in the order in which they are tried.
RULES = {
    "automatic": _("a category"),
    "parent": _("its parent only"),
    "none": _("“fits none”"),
}


@admin.register(Encoder)
class EncoderAdmin(ReadOnlyAdmin):
    list_display = ("name", "state_shown", "dimension", "source", "registered", "activated")
    ordering = ("-pk",)
    fields = (
        "name", "state_shown", "source", "revision", "dimension", "max_tokens", "precision",
        "weights_hash", "prompts_shown", "metrics_shown", "registered", "activated",
    )  # fmt: skip
    readonly_fields = fields

    @admin.display(description=_("state"))
    def state_shown(self, encoder: Encoder) -> Any:
        state = EncoderState(encoder.state)
        return badge(state.label, STATES.get(state, "quiet"))

    @admin.display(description=_("prompts"), empty_value=NOTHING)
    def prompts_shown(self, encoder: Encoder) -> Any:
        return as_json(encoder.prompts)

    @admin.display(description=_("metrics"), empty_value=NOTHING)
    def metrics_shown(self, encoder: Encoder) -> Any:
        return as_json(encoder.metrics)


@admin.register(ClassifierVersion)
class ClassifierVersionAdmin(PuttingInForce):
    list_display = (
        "version", "in_force_shown", "first_choice", "automatic_share", "target_shown", "created",
        "replaced_shown", "calibrated_on", "encoder",
    )  # fmt: skip
    list_select_related = ("encoder",)
    ordering = ("-pk",)
    sortable_by = ()
    fields = (
        "version", "encoder", "in_force_shown", "activated", "replaced_shown", "promised",
        "calibrated_on", "exemplar_generation", "created", "comparison_shown", "promise",
    )  # fmt: skip
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> Any:
        # The fitted artifact is megabytes, and nobody reads it here.
        return super().get_queryset(request).defer("artifact")

    @admin.display(description=_("version"))
    def version(self, version: ClassifierVersion) -> Any:
        return version.pk

    @admin.display(description=_("what it may do without a person"))
    def promise(self, version: ClassifierVersion) -> Any:
        figures = version.figures
        if not isinstance(figures, dict) or "categories" not in figures:
            return as_json(figures) or NOTHING
        return render_to_string(
            "admin/marketplace_ai/promise.html",
            {
                "target": percent(version.target_precision),
                "confidence": percent(version.confidence),
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
        "promised": rule.get("threshold") is not None,
        "rows": rule.get("rows"),
        "errors": rule.get("errors"),
        "coverage": percent(rule.get("coverage")),
        "needed": rule.get("rows_needed"),
    }


def _categories(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each category's figures with its name as it is today, those with rows first."""
    model = get_category_model()
    adapter = get_adapter()
    keys = {row["label"]: _key(model, row["label"]) for row in rows}
    known = model._base_manager.in_bulk([key for key in keys.values() if key is not None])
    shown = []
    for row in rows:
        category = known.get(keys[row["label"]])
        name = adapter.category_name(category) if category is not None else None
        shown.append(
            {
                **row,
                "name": name or _("%s (deleted since)") % row["label"],
                "few": _few(row.get("exemplars")),
            }
        )
    return sorted(shown, key=lambda row: (-row.get("automatic", 0), str(row["name"])))


def _few(exemplars: int | None) -> str:
    """Why the promise over all categories leaves one out; empty where it does not."""
    if exemplars is None or exemplars >= enough.FOR_THE_PROMISE:
        return ""
    return gettext("too few exemplars (%(n)d of %(enough)d): by its own rows only") % {
        "n": exemplars,
        "enough": enough.FOR_THE_PROMISE,
    }


def _key(model: Any, label: str) -> Any | None:
    try:
        return model._meta.pk.to_python(label)
    except ValidationError:
        return None


def as_json(value: Any) -> Any:
    """A value as readable JSON; None for an empty one."""
    if not value:
        return None
    text = json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)
    return format_html('<pre class="mai-json">{}</pre>', text)
