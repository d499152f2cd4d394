"""The rows of the automation table: one for each rule and category."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.formats import number_format
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from marketplace_ai.guarantee.sequential_test import NO_EVIDENCE, EValue, anytime_lower_bound, log_e
from marketplace_ai.models import AutomationStop

from .category_names import label_names, stored_category_name
from .display import badge, percent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from marketplace_ai.audit.monitor import MonitoredRule, MonitoringReport
    from marketplace_ai.models import ClassifierVersion

Rule = AutomationStop.Rule
URL = "admin:marketplace_ai_automationstop"
#: A smaller bound would be shown as 0.0%.
LEAST_BOUND = 0.0005


@dataclass(frozen=True, slots=True)
class AutomationRow:
    """A rule or category; ``url`` is the page that stops it or, if ``stopped``, resumes it."""

    name: Any
    guarantee: str
    rows: int
    errors: int
    waiting: int
    bound: str
    evidence: str
    state: Any
    reason: str
    stopped: bool
    url: str


def automation_rows(
    version: ClassifierVersion, watched: MonitoringReport, standing: Iterable[AutomationStop]
) -> list[AutomationRow]:
    """The rules, then the categories: stopped ones first, then by audited postings.

    The categories' names take one query.
    """
    stops = {(stop.rule, stop.category_key): stop for stop in standing}
    guaranteed = {
        row["label"]: row["has_own_guarantee"] for row in version.figures.get("categories", [])
    }
    names = label_names(line.label for line in watched.categories)

    def name_of(line: MonitoredRule) -> str:
        return names.get(line.label, line.name)

    categories = sorted(
        watched.categories,
        key=lambda line: ((line.rule, line.key) not in stops, -line.rows, name_of(line)),
    )
    return [
        *(
            _row(version, line, stops, name=all_of(line.rule), has_own_guarantee=line.automated)
            for line in watched.rules
        ),
        *(
            _row(
                version,
                line,
                stops,
                name=name_of(line) or all_of(line.rule),
                has_own_guarantee=guaranteed[str(line.label)],
            )
            for line in categories
        ),
    ]


def _row(
    version: ClassifierVersion,
    line: MonitoredRule,
    standing: dict[tuple[str, str], AutomationStop],
    *,
    name: Any,
    has_own_guarantee: bool,
) -> AutomationRow:
    whole = standing.get((line.rule, ""))
    stop = standing.get((line.rule, line.key))
    if stop is not None:
        stop.classifier = version  # its target precision is shown: no query for each stop
        state = badge(_("stopped"), "bad")
    elif whole is not None:
        state = badge(_("stopped for all categories"), "attention")
    elif line.automated:
        state = badge(_("running"), "good")
    else:
        state = badge(_("not automatic"))
    url = ""
    if stop is not None:
        url = reverse(f"{URL}_resume", args=[stop.pk])
    elif line.automated and whole is None:
        url = reverse(f"{URL}_stop", args=[line.rule])
        url += f"?{urlencode({'category': line.label})}" if line.key else ""
    # The test no longer counts what led to a stop, so its evidence comes from the stop.
    evidence = _evidence_at_stop(stop, line) if stop is not None else line.evidence
    bound = anytime_lower_bound(evidence, line.allowed, line.threshold)
    return AutomationRow(
        name=name,
        guarantee=_guarantee(version, line, has_own_guarantee),
        rows=line.rows,
        errors=line.errors,
        waiting=line.waiting,
        bound=percent(bound) if bound >= LEAST_BOUND else "",
        evidence=_evidence_text(evidence, line.threshold),
        state=state,
        reason=stop_reason(stop) if stop is not None else "",
        stopped=stop is not None,
        url=url,
    )


def all_of(rule: str) -> Any:
    return _("All categories") if rule == Rule.LEAF else capfirst(Rule(rule).label)


def _guarantee(version: ClassifierVersion, line: MonitoredRule, has_own_guarantee: bool) -> str:
    if not line.automated:
        return _("none")
    if line.key and not has_own_guarantee:
        return _("with all categories")
    return percent(version.target_precision)


def _evidence_at_stop(stop: AutomationStop, line: MonitoredRule) -> EValue:
    if stop.rows is None or stop.errors is None:
        return NO_EVIDENCE
    return EValue(stop.rows, stop.errors, log_e(stop.errors, stop.rows, line.allowed))


def _evidence_text(evidence: EValue, threshold: float) -> str:
    limit = number_format(round(math.exp(threshold)), force_grouping=True)
    if evidence.log_e >= threshold:
        return _("over %(limit)s") % {"limit": limit}
    value = number_format(evidence.e_value, 1 if evidence.e_value < 10 else 0, force_grouping=True)
    return _("%(e)s (stops at %(limit)s)") % {"e": value, "limit": limit}


def stop_subject(stop: AutomationStop) -> Any:
    """The category or rule that is stopped, in the active language."""
    return stored_category_name(stop) or stop.category_key or all_of(stop.rule)


def stop_reason(stop: AutomationStop) -> str:
    """The result of the audit, or the person's reason."""
    if stop.rows is None:
        who = stop.stopped_by.get_username() if stop.stopped_by else _("a person")
        return _("%(who)s: %(reason)s") % {"who": who, "reason": stop.reason}
    return _(
        "%(errors)d of %(rows)d audited postings were wrong, which refutes the guarantee of "
        "%(target)s."
    ) % {
        "errors": stop.errors,
        "rows": stop.rows,
        "target": percent(stop.classifier.target_precision),
    }
