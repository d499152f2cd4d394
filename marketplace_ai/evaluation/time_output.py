"""The figures of fits of the past as text for a terminal, and as plain values for ``--json``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from marketplace_ai.guarantee.target import Target

from .output import percent
from .proportions import Change, Proportion
from .time_figures import PeriodFigures, TimeFigures


def lines(found: TimeFigures) -> Iterator[str]:
    """A table by the time since the fit, and what it says."""
    target = f"{found.target.precision:.0%}"
    cuts = ", ".join(f"{fit.cut:%Y-%m-%d}" for fit in found.fits)
    yield f"By time: fits on what came before {cuts}, asked about all that came later."
    yield (
        f"{'months':<8}{'rows':>8}{'first choice':>14}{'change (95%)':>23}{'automatic':>11}"
        f"{'of these right (95%)':>24}  {target:<8}{'new':>6}"
    )
    for each in found.periods:
        yield _line(each, found.target)
    yield (
        "Months since the fit. Change: against the first month after the same fits, in points. "
        f"{target} is kept, open or refuted as the interval lies above, around or below it. New: "
        "rows of a category that the fit did not know; they count as wrong."
    )
    yield conclusion(found)
    if found.kin:
        yield (
            f"{found.kin:,} times a later row was left out, because the fit had learned one of its "
            "family."
        )
    if found.undated:
        yield f"{found.undated:,} rows have no date: they teach, and no fit is asked about them."


def conclusion(found: TimeFigures) -> str:
    """What the figures say, in a sentence or two."""
    if len(found.periods) < 2:
        return (
            f"All later rows are of {found.periods[0].period} months after their fits, so nothing "
            "is known about others."
        )
    fall = found.largest_fall
    if fall is None:
        text = "The first choice shows no fall."
    else:
        low, high = fall.interval
        text = (
            f"The first choice falls by up to {-100 * fall.change:.1f} points ({-100 * high:.1f} "
            f"to {-100 * low:.1f})."
        )
    refuted, target = found.first_refuted, f"{found.target.precision:.0%}"
    if refuted is None:
        return text
    if not refuted.first:
        return (
            f"{text} Of what is automatic in the first month after a fit, less than {target} is "
            "right: what older rows prove does not hold for newer ones."
        )
    return (
        f"{text} Of what is automatic {refuted} months after a fit, less than {target} is right: "
        "refit before."
    )


def _line(each: PeriodFigures, target: Target) -> str:
    return (
        f"{each.period!s:<8}{each.rows:>8,}{percent(each.first_choice.share):>14}"
        f"{change(each.first_choice_change):>23}{percent(each.automatic.share):>11}"
        f"{with_interval(each.precision):>24}  {each.precision.supports(target) or '-':<8}"
        f"{percent(each.new_category.share):>6}"
    )


def change(found: Change | None) -> str:
    """A change in points with its interval; a dash for none."""
    if found is None:
        return "-"
    low, high = found.interval
    return f"{100 * found.change:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


def with_interval(found: Proportion) -> str:
    """A share with its interval; a dash for a share of nothing."""
    if not found.n:
        return "-"
    low, high = found.interval
    return f"{percent(found.share)} ({100 * low:.1f} to {100 * high:.1f}%)"


def as_json(found: TimeFigures) -> dict[str, Any]:
    """All figures as plain values."""
    return {
        "target_precision": found.target.precision,
        "periods": [_period(each, found) for each in found.periods],
        "fits": [
            {
                "before": fit.cut.isoformat(),
                "exemplars": fit.exemplars,
                "categories": fit.categories,
                "guaranteed_coverage": fit.guaranteed_coverage,
                "periods": [_period(each, found) for each in periods],
            }
            for fit, periods in zip(found.fits, found.by_fit, strict=True)
        ],
        "undated": found.undated,
        "kin": found.kin,
    }


def _period(each: PeriodFigures, found: TimeFigures) -> dict[str, Any]:
    precision = each.precision
    return {
        "months": [each.period.first, each.period.last],
        "fits": each.fits,
        "n": each.rows,
        "decisions": each.decisions,
        "accuracy": each.first_choice.share,
        "accuracy_interval": each.first_choice.interval,
        "accuracy_change": _change_json(each.first_choice_change),
        "coverage": each.automatic.share,
        "coverage_interval": each.automatic.interval,
        "coverage_change": _change_json(each.automatic_change),
        "automatic": precision.n,
        "errors": precision.n - precision.hits,
        "precision": precision.share,
        "precision_interval": precision.interval,
        "support": precision.supports(found.target),
        "new_category": each.new_category.share,
        "categories": each.categories,
        "new_categories": each.new_categories,
    }


def _change_json(found: Change | None) -> dict[str, Any] | None:
    return None if found is None else {"change": found.change, "interval": found.interval}
