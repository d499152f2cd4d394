"""Monitoring of one version's guarantee: counts and e-values of its audited postings."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import connections

from marketplace_ai.db.alias import alias
from marketplace_ai.guarantee.sequential_test import EValue, largest_e_value, log_threshold
from marketplace_ai.models import AutomationStop, ClassifierVersion, get_category_model

Rule = AutomationStop.Rule

# The ranks of the wrong ones among all automatic audited postings of a version, in the order
# in which they were drawn, under their rule and under their category. Postings drawn before a
# stop no longer count: otherwise what is resumed would stop again at once, and the other
# categories would be tested on one that is no longer automatic. A blank text is outside the
# guarantee; it has no probability.
WRONG = """
WITH counted AS (
    SELECT outcome, category_id, is_correct,
           row_number() OVER (PARTITION BY outcome ORDER BY drawn_at, id) AS place,
           row_number() OVER (PARTITION BY outcome, category_id ORDER BY drawn_at, id) AS own_place
    FROM marketplace_ai_auditedposting AS audit
    WHERE classifier_id = %(version)s
      AND outcome IN ('automatic', 'automatic_parent', 'none') AND probability IS NOT NULL
      AND NOT EXISTS (
        SELECT FROM marketplace_ai_automationstop AS stop
        WHERE stop.classifier_id = audit.classifier_id AND stop.rule = audit.outcome
          AND stop.stopped_at >= audit.drawn_at
          AND (stop.category_key = '' OR stop.category_id = audit.category_id))
)
SELECT outcome, category_id, place, own_place FROM counted
WHERE is_correct = false ORDER BY place
"""

# All answers so far, including those the test no longer counts.
COUNTS = """
SELECT outcome, category_id, count(is_correct), count(*) FILTER (WHERE is_correct = false),
       count(*) FILTER (WHERE answered_at IS NULL AND posting_id IS NOT NULL)
FROM marketplace_ai_auditedposting
WHERE classifier_id = %(version)s
  AND outcome IN ('automatic', 'automatic_parent', 'none') AND probability IS NOT NULL
GROUP BY outcome, category_id
"""


@dataclass(frozen=True, slots=True)
class MonitoredRule:
    """The state of one automatic rule, or of one category under a rule.

    Attributes:
        label: the classifier's label of the category, None for a whole rule; ``key`` and
            ``name`` are "" then.
        automated: whether the version automates it at all.
        rows, errors, waiting: audited postings that were answered, those of them that were
            wrong, and those without an answer.
        evidence: the largest e-value so far.
        allowed: the error rate that the guarantee allows.
        threshold: the natural log of the e-value that refutes the guarantee.
    """

    rule: str
    label: str | None
    category_id: Any | None
    key: str
    name: str
    automated: bool
    rows: int
    errors: int
    waiting: int
    evidence: EValue
    allowed: float
    threshold: float

    @property
    def refuted(self) -> bool:
        return self.evidence.log_e >= self.threshold


@dataclass(frozen=True, slots=True)
class MonitoringReport:
    """What is monitored of a version: its rules, and the categories of the leaf rule."""

    rules: tuple[MonitoredRule, ...]
    categories: tuple[MonitoredRule, ...]


def monitoring_report(version: ClassifierVersion) -> MonitoringReport:
    """Count the audited postings of a version and test its guarantee.

    Takes two queries, however many categories there are. Each category's test is corrected
    for the number of automatic categories (Bonferroni).
    """
    wrong: dict[tuple[str, Any], list[int]] = defaultdict(list)
    with connections[alias()].cursor() as cursor:
        cursor.execute(WRONG, {"version": version.pk})
        for rule, category, place, own_place in cursor.fetchall():
            wrong[rule, None].append(place)
            if category is not None:
                wrong[rule, str(category)].append(own_place)
        cursor.execute(COUNTS, {"version": version.pk})
        counts = {
            (rule, None if category is None else str(category)): (rows, errors, waiting)
            for rule, category, rows, errors, waiting in cursor.fetchall()
        }
    allowed = 1 - version.target_precision
    figures = version.figures if isinstance(version.figures, dict) else {}
    category_rows = figures.get("categories", [])
    num_automated = sum(row["automated"] for row in category_rows)

    def monitored(rule: str, row: dict[str, Any] | None, tests: int) -> MonitoredRule:
        label = row["label"] if row else None
        matching = [
            category_counts
            for (counted_rule, category), category_counts in counts.items()
            if counted_rule == rule and (row is None or category == label)
        ]
        rows, errors, waiting = (sum(column) for column in zip((0, 0, 0), *matching, strict=True))
        return MonitoredRule(
            rule=rule,
            label=label,
            category_id=primary_key(label) if label is not None else None,
            key=row["key"] if row else "",
            name=row["name"] if row else "",
            automated=row["automated"] if row else _automated(figures, rule),
            rows=rows,
            errors=errors,
            waiting=waiting,
            evidence=largest_e_value(wrong[rule, label], allowed),
            allowed=allowed,
            threshold=log_threshold(version.confidence_level, tests),
        )

    leaf: str = Rule.LEAF
    return MonitoringReport(
        tuple(monitored(rule, None, 1) for rule in Rule.values),
        tuple(monitored(leaf, row, max(num_automated, 1)) for row in category_rows),
    )


def primary_key(label: str) -> Any | None:
    """Convert a classifier's label to a category's primary key; None if it cannot be one."""
    pk = get_category_model()._meta.pk
    try:
        return pk.to_python(label) if pk is not None else None
    except ValidationError:
        return None


#: The key of each rule in a version's figures.
FIGURES = {Rule.LEAF: "automatic", Rule.PARENT: "parent", Rule.NONE: "none"}


def _automated(figures: dict[str, Any], rule: str) -> bool:
    rule_figures = figures.get(FIGURES[Rule(rule)]) or {}
    return rule_figures.get("threshold") is not None
