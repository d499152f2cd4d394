"""How things are shown: badges, percentages, bars and links. Everything is escaped here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.admin.utils import quote
from django.urls import NoReverseMatch, reverse
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.translation import gettext as _

from marketplace_ai.models import ExemplarState, Outcome

if TYPE_CHECKING:
    from django.contrib.admin import AdminSite
    from django.db.models import Model
    from django.utils.safestring import SafeString

STYLES = {"all": ("marketplace_ai/admin.css",)}
NOTHING = "—"
TONES: dict[str, str] = {
    Outcome.AUTOMATIC: "good",
    Outcome.AUTOMATIC_PARENT: "good",
    Outcome.REVIEW: "attention",
    Outcome.NONE: "quiet",
    Outcome.HUMAN_OVERRIDE: "quiet",
    Outcome.CONFIRMED: "person",
    Outcome.CORRECTED: "person",
    ExemplarState.ACTIVE: "good",
    ExemplarState.QUARANTINED: "attention",
    ExemplarState.ORPHANED: "attention",
}


def badge(label: Any, tone: str = "quiet") -> SafeString:
    """A small colored word; the word alone says all, the color only helps."""
    return format_html('<span class="mai-badge mai-{}">{}</span>', tone, label)


def outcome_badge(outcome: str) -> SafeString:
    return badge(Outcome(outcome).label, TONES[outcome])


def percent(value: float | None) -> str:
    """A number in [0, 1] for people, in their language: ``93.4%``."""
    if value is None:
        return ""
    shown = round(100 * value, 1)
    if value < 1 <= shown / 100:
        shown = 99.9  # what is not certain never reads as if it were
    return _("%(number)s%%") % {"number": number_format(shown, 1)}


def bar_value(value: float, largest: float = 1.0) -> str:
    """The value of a ``<meter>``: as HTML wants it, whatever the language is."""
    return f"{min(max(value / largest, 0.0), 1.0) if largest > 0 else 0.0:.3f}"


def shortened(text: str, length: int = 90) -> str:
    """The text as one line of at most ``length`` characters."""
    line = " ".join(text[: 4 * length].split())
    return line if len(line) <= length else line[: length - 1] + "…"


def admin_url(site: AdminSite, model: type[Model], name: str, pk: Any | None = None) -> str | None:
    """The address of a model's admin page; None where the host has no admin for it."""
    meta = model._meta
    try:
        return reverse(
            f"admin:{meta.app_label}_{meta.model_name}_{name}",
            args=[] if pk is None else [quote(pk)],
            current_app=site.name,
        )
    except NoReverseMatch:
        return None


def link(url: str | None, label: Any) -> SafeString:
    """A link, or the plain label where there is nowhere to go."""
    return format_html('<a href="{}">{}</a>', url, label) if url else format_html("{}", label)


def object_link(site: AdminSite, model: type[Model], pk: Any, label: Any) -> SafeString:
    return link(admin_url(site, model, "change", pk), label)
