"""The comparison of a candidate encoder with the active one, for its template."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from django.utils.dateparse import parse_datetime
from django.utils.formats import number_format
from django.utils.translation import gettext

from marketplace_ai.admin.display import NOTHING, percent
from marketplace_ai.admin.versions.comparison import p_value_text
from marketplace_ai.comparison.report import (
    CategorySlice,
    ComparisonReport,
    EncoderComparison,
    FailedCheck,
    ModelSummary,
    PairedDifference,
    Slice,
)
from marketplace_ai.promotion import wording


def failed_checks(checks: Iterable[str]) -> list[Any]:
    """The sentences of failed checks by their stored names."""
    return [wording.FAILED_CHECKS[FailedCheck(check)] for check in checks]


def comparison_context(stored: dict[str, Any], names: Mapping[str | None, str]) -> dict[str, Any]:
    """The context of the template for a report as ``Encoder.comparison`` stores it.

    ``names`` are the current names of categories by label; a deleted one keeps the stored name.
    """
    report = ComparisonReport.from_dict(stored)
    results, active = report.results, report.active_encoder
    context = {
        "compared": parse_datetime(report.compared_at),
        "failed_checks": failed_checks(report.failed_checks),
        "target": percent(report.target_precision),
        "confidence": percent(report.confidence),
    }
    if results is None or active is None:
        return {**context, "first": True}
    return {
        **context,
        "new": report.encoder,
        "old": active.name,
        "rows": results.rows,
        "what": wording.LABELED_ROWS[report.calibrated_on],
        "figures": _figures(results),
        "kinds": [_slice(kind, wording.kind_name(report, kind.name)) for kind in results.kinds],
        "categories": [
            _category(category, names.get(category.label, category.name))
            for category in results.categories
        ],
        "changed": results.changed,
    }


def _figures(results: EncoderComparison) -> list[dict[str, Any]]:
    """The rows of the first table."""
    new, old = results.new, results.old
    return [
        *(
            _difference(title, difference, rows)
            for title, difference, rows in wording.paired_figures(results)
        ),
        {"title": wording.AUTOMATIC_ERRORS, "new": new.errors, "old": old.errors},
        {
            "title": wording.PARENT_ONLY,
            "new": new.automatic_parent,
            "old": old.automatic_parent,
        },
        {"title": wording.THRESHOLD, "new": _threshold(new), "old": _threshold(old)},
        {"title": wording.HELD_OUT_ERRORS, "new": _held_out(new), "old": _held_out(old)},
    ]


def _difference(title: Any, pair: PairedDifference, rows: int) -> dict[str, Any]:
    return {
        "title": title,
        "new": percent(pair.new / rows),
        "old": percent(pair.old / rows),
        "difference": _points(pair.difference),
        "low": _points(pair.low),
        "high": _points(pair.high),
        "gained": pair.gained,
        "lost": pair.lost,
        "p_value": p_value_text(pair.p_value),
    }


def _points(difference: float) -> str:
    """A difference of two shares, in percentage points and with its sign."""
    points = round(100 * difference, 1)
    number = number_format(abs(points), 1)
    return f"+{number}" if points > 0 else f"−{number}" if points < 0 else number  # noqa: RUF001


def _threshold(summary: ModelSummary) -> Any:
    return percent(summary.threshold) or wording.NO_THRESHOLD


def _held_out(summary: ModelSummary) -> str:
    if not summary.held_out.rows:
        return NOTHING
    return str(gettext("%(errors)s of %(rows)s") % asdict(summary.held_out))


def _slice(part: Slice | CategorySlice, name: Any) -> dict[str, Any]:
    return {
        "name": name,
        "rows": part.rows,
        "new": part.new,
        "old": part.old,
        "p_value": p_value_text(part.p_value),
    }


def _category(category: CategorySlice, name: str) -> dict[str, Any]:
    scopes = wording.GUARANTEE_SCOPES
    return {
        **_slice(category, name),
        "guarantee": scopes[category.guarantee_new],
        "before": scopes[category.guarantee_old] if category.guarantee_lost else "",
    }
