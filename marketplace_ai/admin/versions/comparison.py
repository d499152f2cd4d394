"""A new classifier version beside the one that was in force, as a page shows it."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from marketplace_ai.admin.display import percent

#: What spoke against putting a version in force by itself, as ``deciding.comparison`` calls it.
OBJECTIONS = {
    "worse": _("its first answer is right less often"),
    "no_automation": _("it promises nothing without a person, where the other does"),
    "fewer": _("it decides less without a person"),
}
NOT_COMPARED = {
    "first": _("It was the first one."),
    "unreadable": _("The other one could not be read."),
    "learnt": _("The other one had learnt from all of the labelled rows."),
}


def compared(comparison: dict[str, Any]) -> dict[str, Any]:
    """A stored comparison as its template shows it."""
    context = {
        "version": comparison.get("version"),
        "objections": [OBJECTIONS.get(name, name) for name in comparison.get("objections", ())],
        "left_out": comparison.get("left_out"),
    }
    if "not_compared" in comparison:
        why = comparison["not_compared"]
        return {**context, "not_compared": NOT_COMPARED.get(why, why)}
    rows = comparison["rows"]
    return {
        **context,
        "rows": rows,
        "columns": [
            {
                "title": title,
                "right": percent(comparison[name]["right"] / rows),
                "automatic": percent(comparison[name]["automatic"] / rows),
                "errors": comparison[name]["errors"],
                "alone": comparison[alone],
            }
            for name, title, alone in (
                ("new", _("this version"), "gained"),
                ("old", _("version %s") % comparison["version"], "lost"),
            )
        ],
        "chance": chance(comparison["p_worse"]),
    }


def chance(p: float) -> str:
    """A probability for people; a very small one is not told exactly."""
    least = 0.001
    return percent(p) if p >= least else gettext("less than %s") % percent(least)
