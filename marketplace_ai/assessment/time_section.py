"""The part of the page about time, in the language that is active."""

from __future__ import annotations

from typing import Any

from django.utils.formats import date_format
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _

from marketplace_ai.evaluation import time_chart
from marketplace_ai.evaluation.proportions import Change
from marketplace_ai.evaluation.time_figures import PeriodFigures, TimeFigures

from .wording import number, percent


def time_section(found: TimeFigures) -> dict[str, Any]:
    """The chart, its table and what they say."""
    words = time_chart.Words(
        title=_("First choice, automatic share and precision by the months since the fit"),
        first_choice=_("first choice right"),
        automatic=_("automatic"),
        precision=_("of these right"),
        months=_("months since the fit"),
    )
    return {
        "chart": mark_safe(  # noqa: S308 - it escapes words
            time_chart.draw(found, words, lambda share: percent(share, 0))
        ),
        "cuts": "; ".join(date_format(fit.cut, "DATE_FORMAT") for fit in found.fits),
        "target": percent(found.target.precision, 0),
        "conclusion": _conclusion(found),
        "periods": [_period(each, found) for each in found.periods],
    }


def _period(each: PeriodFigures, found: TimeFigures) -> dict[str, Any]:
    precision = each.precision
    support = {"kept": _("kept"), "open": _("open"), "refuted": _("refuted")}
    return {
        "months": each.period,
        "rows": number(each.rows),
        "first_choice": percent(each.first_choice.share),
        "change": _change(each.first_choice_change),
        "automatic": percent(each.automatic.share),
        "precision": percent(precision.share),
        "interval": _between(precision.interval) if precision.n else "",
        "support": support.get(precision.supports(found.target) or "", ""),
        "new": percent(each.new_category.share),
    }


def _between(interval: tuple[float, float]) -> str:
    low, high = interval
    return _("%(low)s to %(high)s") % {"low": percent(low), "high": percent(high)}


def _change(found: Change | None) -> str:
    if found is None:
        return ""
    low, high = (number(100 * bound, 1) for bound in found.interval)
    return _("%(change)s (%(low)s to %(high)s)") % {
        "change": number(100 * found.change, 1), "low": low, "high": high,
    }  # fmt: skip


def _conclusion(found: TimeFigures) -> str:
    if len(found.periods) < 2:
        return _(
            "All later postings came %(period)s months after their fits, so nothing is known about "
            "others."
        ) % {"period": found.periods[0].period}
    fall = found.largest_fall
    if fall is None:
        text = _("The first choice shows no fall.")
    else:
        low, high = fall.interval
        text = _("The first choice falls by up to %(fall)s points (%(low)s to %(high)s).") % {
            "fall": number(-100 * fall.change, 1),
            "low": number(-100 * high, 1),
            "high": number(-100 * low, 1),
        }
    if (refuted := found.first_refuted) is None:
        return text
    if refuted.first:
        broken = _(
            "Of what is automatic %(period)s months after a fit, less than %(target)s is right: "
            "refit before."
        )
    else:
        broken = _(
            "Of what is automatic in the first month after a fit, less than %(target)s is right: "
            "what older postings prove does not hold for newer ones."
        )
    values = {"period": refuted, "target": percent(found.target.precision, 0)}
    return f"{text} {broken % values}"
