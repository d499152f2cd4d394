"""The comparison of a classifier version with the one that was active, for its template."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from marketplace_ai.admin.display import percent
from marketplace_ai.comparison.report import VersionReport
from marketplace_ai.promotion import wording


def comparison_context(stored: dict[str, Any]) -> dict[str, Any]:
    """The context of the template for a report as ``ClassifierVersion.comparison`` stores it."""
    report = VersionReport.from_dict(stored)
    context = {
        "version": report.version,
        "failed_checks": [wording.FAILED_CHECKS[check] for check in report.failed_checks],
    }
    results = report.results
    if report.not_compared is not None or results is None:
        reason = report.not_compared
        return {**context, "not_compared": wording.NOT_COMPARED[reason] if reason else ""}
    return {
        **context,
        "rows": results.rows,
        "left_out": results.left_out,
        "columns": [
            {
                "title": title,
                "correct": percent(counts.correct / results.rows),
                "automatic": percent(counts.automatic / results.rows),
                "errors": counts.errors,
                "only_correct": only_correct,
            }
            for title, counts, only_correct in (
                (_("this version"), results.new, results.gained),
                (_("version %s") % report.version, results.old, results.lost),
            )
        ],
        "p_value": p_value_text(results.p_value),
    }


def p_value_text(p_value: float) -> str:
    """A probability as a percentage; a very small one as "less than 0.1%"."""
    least = 0.001
    return percent(p_value) if p_value >= least else gettext("less than %s") % percent(least)
