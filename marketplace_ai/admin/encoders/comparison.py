"""Two encoders held against each other, as a page shows it."""

from __future__ import annotations

from typing import Any

from django.utils.dateparse import parse_datetime
from django.utils.formats import number_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from marketplace_ai.admin.display import NOTHING, percent
from marketplace_ai.admin.versions.comparison import OBJECTIONS, chance

#: What spoke against a promotion, as ``deciding.gate`` calls it.
AGAINST = {
    **OBJECTIONS,
    "learnt": _("it was fine-tuned, and may have learnt the rows it was compared on"),
    "weaker": _("less is promised than today"),
    "unkept": _("rows that took no part in finding its threshold refute its promise"),
}
CALIBRATED_ON = {
    "postings": _("labelled postings"),
    "audits": _("audited postings"),
    "exemplars": _("exemplars, cross-validated"),
}
KINDS = {
    "title_only": _("a title only"),
    "with_description": _("with a description"),
    "short": _("up to 12 words"),
    "long": _("more than 12 words"),
}
PROMISED = {
    "own": _("by its own rows"),
    "pooled": _("with all others"),
    "none": _("nothing"),
}
SHARES = (
    ("first", _("first answer right"), "rows"),
    ("parent", _("its parent right"), "with_parent"),
    ("recognized", _("“fits none” recognized"), "fit_none"),
    ("automatic", _("automatic"), "rows"),
)


def objections(comparison: dict[str, Any]) -> list[Any]:
    return [AGAINST.get(name, name) for name in comparison.get("objections", ())]


def contest(comparison: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """A stored comparison as its template shows it; ``names`` are those that categories have
    today, by their labels."""
    context = {
        "compared": parse_datetime(comparison["compared"]),
        "objections": objections(comparison),
        "target": percent(comparison["target_precision"]),
        "confidence": percent(comparison["confidence"]),
    }
    if comparison["against"] is None:
        return {**context, "first": True}
    new, old = comparison["new"], comparison["old"]
    rows = [
        _pair(title, comparison[name], comparison[total])
        for name, title, total in SHARES
        if comparison[total]
    ]
    rows += [
        {"title": _("errors among automatic"), "new": new["errors"], "old": old["errors"]},
        {
            "title": _("parent only"),
            "new": new["automatic_parent"],
            "old": old["automatic_parent"],
        },
        {
            "title": _("automatic from"),
            "new": percent(new["threshold"]) or _("not promised"),
            "old": percent(old["threshold"]) or _("not promised"),
        },
        {"title": _("errors on held-out rows"), "new": _held_out(new), "old": _held_out(old)},
    ]
    return {
        **context,
        "new": comparison["encoder"],
        "old": comparison["against"]["name"],
        "rows": comparison["rows"],
        "what": CALIBRATED_ON.get(comparison["calibrated_on"], comparison["calibrated_on"]),
        "figures": rows,
        "kinds": [
            _slice(
                row,
                row["name"] if comparison["kinds_given"] else KINDS.get(row["name"], row["name"]),
            )
            for row in comparison["kinds"]
        ],
        "categories": [
            {
                **_slice(row, names.get(row["label"], row["name"])),
                "promised": PROMISED.get(row["promised_new"], ""),
                "before": PROMISED.get(row["promised_old"], "") if row["promise_lost"] else "",
            }
            for row in comparison["categories"]
        ],
        "changed": comparison["changed"],
    }


def _pair(title: Any, pair: dict[str, Any], total: int) -> dict[str, Any]:
    return {
        "title": title,
        "new": percent(pair["new"] / total),
        "old": percent(pair["old"] / total),
        "difference": _points(pair["difference"]),
        "low": _points(pair["low"]),
        "high": _points(pair["high"]),
        "gained": pair["gained"],
        "lost": pair["lost"],
        "chance": chance(pair["p"]),
    }


def _points(difference: float) -> str:
    """A difference of two shares, in percentage points and with its sign."""
    points = round(100 * difference, 1)
    shown = number_format(abs(points), 1)
    return f"+{shown}" if points > 0 else f"−{shown}" if points < 0 else shown  # noqa: RUF001


def _held_out(side: dict[str, Any]) -> str:
    shown = side["held_out"]
    if not shown["rows"]:
        return NOTHING
    return str(gettext("%(errors)s of %(rows)s") % shown)


def _slice(row: dict[str, Any], name: Any) -> dict[str, Any]:
    return {**row, "name": name, "chance": chance(row["p_worse"])}
