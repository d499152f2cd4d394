"""The audited postings of one classifier version, counted, and what they say of its promise."""

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

# The places of the wrong ones among all automatic audited postings of a version, in the
# order in which they were drawn, under their rule and under their category. A stop ends
# the count of what was drawn before it: else what resumes would stop again at once, and the rest
# would be judged by a category that is no longer automatic. (A blank text fits none by no rule of
# the promise, and has no probability.)
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

# What people have said so far, whatever the test counts.
COUNTS = """
SELECT outcome, category_id, count(is_correct), count(*) FILTER (WHERE is_correct = false),
       count(*) FILTER (WHERE answered_at IS NULL AND posting_id IS NOT NULL)
FROM marketplace_ai_auditedposting
WHERE classifier_id = %(version)s
  AND outcome IN ('automatic', 'automatic_parent', 'none') AND probability IS NOT NULL
GROUP BY outcome, category_id
"""


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that is automatic: a rule as a whole (no ``key``), or a category under it.

    ``label`` is the classifier's; ``rows``, ``errors`` and ``waiting`` are audited postings
    that were judged, those of them that are wrong, and those that wait.
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
class Watched:
    """All that is watched of a version: its rules, then the categories of the leaf rule."""

    rules: tuple[Line, ...]
    categories: tuple[Line, ...]


def watch(version: ClassifierVersion) -> Watched:
    """Count and test; two statements, however many categories there are."""
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
    promised = figures.get("categories", [])
    automated = sum(row["automated"] for row in promised)

    def line(rule: str, row: dict[str, Any] | None, tests: int) -> Line:
        label = row["label"] if row else None
        own = [
            counted
            for (of_rule, category), counted in counts.items()
            if of_rule == rule and (row is None or category == label)
        ]
        rows, errors, waiting = (sum(column) for column in zip((0, 0, 0), *own, strict=True))
        return Line(
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
    return Watched(
        tuple(line(rule, None, 1) for rule in Rule.values),
        tuple(line(leaf, row, max(automated, 1)) for row in promised),
    )


def primary_key(label: str) -> Any | None:
    """A classifier's label as a category's primary key; None for what cannot be one."""
    pk = get_category_model()._meta.pk
    try:
        return pk.to_python(label) if pk is not None else None
    except ValidationError:
        return None


#: Where a version's figures say what each rule promised.
FIGURES = {Rule.LEAF: "automatic", Rule.PARENT: "parent", Rule.NONE: "none"}


def _automated(figures: dict[str, Any], rule: str) -> bool:
    found = figures.get(FIGURES[Rule(rule)]) or {}
    return found.get("threshold") is not None
