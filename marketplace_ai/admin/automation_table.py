"""The overview of automation, a line for each rule and category, ready to be read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.formats import number_format
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from marketplace_ai.guarantee.sequential_test import NOTHING, Evidence, error_lower_bound, log_e
from marketplace_ai.models import AutomationStop

from .display import badge, percent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from marketplace_ai.audit.monitor import MonitoredRule, MonitoringReport
    from marketplace_ai.models import ClassifierVersion

Rule = AutomationStop.Rule
URL = "admin:marketplace_ai_automationstop"
#: A bound below this says nothing that one decimal would show.
LEAST_BOUND = 0.0005


@dataclass(frozen=True, slots=True)
class Shown:
    """One line; ``url`` leads to the page that stops it or, if ``stopped``, resumes it."""

    name: Any
    promised: str
    rows: int
    errors: int
    waiting: int
    bound: str
    evidence: str
    state: Any
    reason: str
    stopped: bool
    url: str


def lines(
    version: ClassifierVersion, watched: MonitoringReport, standing: Iterable[AutomationStop]
) -> list[Shown]:
    """Rules first, then categories: those that stopped, then those with most audited postings."""
    of = {(stop.rule, stop.category_key): stop for stop in standing}
    promised = {row["label"]: row["promised"] for row in version.figures.get("categories", [])}
    categories = sorted(
        watched.categories,
        key=lambda line: ((line.rule, line.key) not in of, -line.rows, line.name),
    )
    return [
        *(_shown(version, line, of, promised=line.automated) for line in watched.rules),
        *(_shown(version, line, of, promised=promised[str(line.label)]) for line in categories),
    ]


def _shown(
    version: ClassifierVersion,
    line: MonitoredRule,
    standing: dict[tuple[str, str], AutomationStop],
    *,
    promised: bool,
) -> Shown:
    whole = standing.get((line.rule, ""))
    stop = standing.get((line.rule, line.key))
    if stop is not None:
        stop.classifier = version  # its target is shown; no query for each
        state = badge(_("stopped"), "bad")
    elif whole is not None:
        state = badge(_("stopped with all categories"), "attention")
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
    # What led to a stop is counted no more, but it is why nothing runs.
    found = _at_the_stop(stop, line) if stop is not None else line.evidence
    bound = error_lower_bound(found, line.allowed, line.threshold)
    return Shown(
        name=line.name or _all_of(line.rule),
        promised=_promised(version, line, promised),
        rows=line.rows,
        errors=line.errors,
        waiting=line.waiting,
        bound=percent(bound) if bound >= LEAST_BOUND else "",
        evidence=_evidence(found, line.threshold),
        state=state,
        reason=why(stop) if stop is not None else "",
        stopped=stop is not None,
        url=url,
    )


def _all_of(rule: str) -> Any:
    return _("All categories together") if rule == Rule.LEAF else capfirst(Rule(rule).label)


def _promised(version: ClassifierVersion, line: MonitoredRule, promised: bool) -> str:
    if not line.automated:
        return _("nothing")
    if line.key and not promised:
        return _("with all others")
    return percent(version.target_precision)


def _at_the_stop(stop: AutomationStop, line: MonitoredRule) -> Evidence:
    if stop.rows is None or stop.errors is None:
        return NOTHING
    return Evidence(stop.rows, stop.errors, log_e(stop.errors, stop.rows, line.allowed))


def _evidence(found: Evidence, threshold: float) -> str:
    limit = number_format(round(math.exp(threshold)), force_grouping=True)
    if found.log_e >= threshold:
        return _("over %(limit)s") % {"limit": limit}
    value = number_format(found.e_value, 1 if found.e_value < 10 else 0, force_grouping=True)
    return _("%(e)s of %(limit)s") % {"e": value, "limit": limit}


def what(stop: AutomationStop) -> Any:
    """What a stop is about, for people."""
    return stop.category_name or stop.category_key or _all_of(stop.rule)


def why(stop: AutomationStop) -> str:
    """Why it stopped: what the audit found, or what the person said."""
    if stop.rows is None:
        who = stop.stopped_by.get_username() if stop.stopped_by else _("a person")
        return _("%(who)s: %(reason)s") % {"who": who, "reason": stop.reason}
    return _(
        "%(errors)d of %(rows)d audited postings were wrong, which refutes the promise of "
        "%(target)s."
    ) % {
        "errors": stop.errors,
        "rows": stop.rows,
        "target": percent(stop.classifier.target_precision),
    }
