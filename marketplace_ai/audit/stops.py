"""Stops of automation: made by the test or a person, obeyed by all workers, lifted by a person."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from marketplace_ai.models import AutomationStop, ClassifierVersion
from marketplace_ai.queue.sql import alias
from marketplace_ai.signals import automation_stopped

from . import monitor

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from marketplace_ai.classifier import Verdict

logger = logging.getLogger(__name__)

Rule = AutomationStop.Rule


@dataclass(frozen=True, slots=True)
class Stops:
    """What may not be decided without a person: rules as a whole, and single categories."""

    rules: frozenset[str]
    labels: frozenset[str | None]

    def hold(self, verdict: Verdict) -> Verdict:
        """The verdict, or the same one for a person where its automation has stopped.

        A category that has stopped is no posting's second one either.
        """
        if any(label in self.labels for label, _ in verdict.secondary):
            kept = tuple(pair for pair in verdict.secondary if pair[0] not in self.labels)
            verdict = replace(verdict, secondary=kept)
        outcome: str = verdict.outcome
        leaf = outcome == Rule.LEAF and verdict.label in self.labels
        if leaf or outcome in self.rules:
            return replace(verdict, outcome="review", threshold=None, parent=None)
        return verdict


def in_force(classifier_id: int) -> Stops:
    """What is stopped for this version now; one query."""
    found = standing(classifier_id).values_list("rule", "category_id", "category_key")
    rules, labels = set(), set()
    for rule, category, key in found:
        if not key:
            rules.add(rule)
        elif category is not None:  # else it was deleted, and nothing is tagged with it
            labels.add(str(category))
    return Stops(frozenset(rules), frozenset(labels))


def standing(classifier_id: int) -> QuerySet[AutomationStop]:
    """Stops that hold for this version, whichever version they were made on.

    A version that was calibrated on audited postings after the stop has seen the errors, so it
    starts anew, and so does what is fitted after it was put in force. Fitted alone it proves
    nothing to others: one that was refused says nothing about the next.
    """
    seen = ClassifierVersion.objects.filter(
        Q(pk=classifier_id) | Q(pk__lt=classifier_id, activated_at__isnull=False),
        calibrated_on=ClassifierVersion.Calibration.AUDITS,
        created_at__gt=OuterRef("stopped_at"),
        encoder__classifiers=classifier_id,
    )
    return AutomationStop.objects.using(alias()).filter(~Exists(seen), resumed_at__isnull=True)


def examine(classifier_id: int) -> None:
    """Test the promise of the version in force on its audited postings; stop what is refuted.

    Belongs into the transaction of an answer. The version is locked, so of two answers at once the
    later one counts the earlier one's error too. Another version than the one in force decides
    nothing any more, so nothing of it can be stopped.
    """
    with transaction.atomic(using=alias()):
        _examine(classifier_id)


def _examine(classifier_id: int) -> None:
    version = (
        ClassifierVersion.objects.using(alias())
        .select_for_update(no_key=True)
        .filter(pk=classifier_id, is_active=True)
        .defer("artifact")
        .first()
    )
    if version is None:
        return
    stopped = in_force(version.pk)
    watched = monitor.watch(version)
    # Categories first: what one of them got wrong need not stop all the others.
    refuted = [line for line in watched.categories if line.refuted]
    for line in refuted:
        if line.label not in stopped.labels and line.rule not in stopped.rules:
            _stop(version, line)
    if refuted:
        watched = monitor.watch(version)
    for line in watched.rules:
        if line.refuted and line.rule not in stopped.rules:
            _stop(version, line)


def _stop(version: ClassifierVersion, line: monitor.Line) -> None:
    stop(
        version,
        line.rule,
        line.category_id,
        key=line.key,
        name=line.name,
        rows=line.evidence.rows,
        errors=line.evidence.errors,
        e_value=line.evidence.e_value,
    )


def stop(
    version: ClassifierVersion,
    rule: str,
    category_id: Any | None = None,
    *,
    key: str = "",
    name: str = "",
    user: Any = None,
    reason: str = "",
    **evidence: float,
) -> AutomationStop | None:
    """Stop a rule, or one category of it; None where it is stopped already."""
    with transaction.atomic(using=alias()):
        made, new = AutomationStop.objects.get_or_create(
            classifier=version,
            rule=rule,
            category_key=key[:200],
            resumed_at=None,
            defaults={
                "category_id": category_id,
                "category_name": name[:300],
                "stopped_at": Now(),
                "stopped_by": user,
                "reason": reason,
                **evidence,
            },
        )
        if not new:
            return None
        made.refresh_from_db(fields=["stopped_at"])
        transaction.on_commit(lambda: _tell(made, version), using=alias(), robust=True)
    return made


def lift(stop_id: int, user: Any, reason: str) -> bool:
    """Resume what was stopped; whether it was still stopped. Counting starts anew."""
    return bool(
        AutomationStop.objects.using(alias())
        .filter(pk=stop_id, resumed_at__isnull=True)
        .update(resumed_at=Now(), resumed_by=user, resume_reason=reason)
    )


def _tell(made: AutomationStop, version: ClassifierVersion) -> None:
    what = f"category {made.category_key!r}" if made.category_key else f"rule {made.rule!r}"
    why = f"stopped by a person: {made.reason}"
    if made.rows is not None:
        why = (
            f"{made.errors} of {made.rows} audited postings were wrong, which refutes the promise "
            f"of {version.target_precision:.0%} (e value {made.e_value:.0f})"
        )
    logger.error("Automation of %s has stopped; its postings go to review: %s", what, why)
    automation_stopped.send_robust(AutomationStop, stop=made)
