"""Automation stops: made by the sequential test or a person, resumed by a person.

All workers obey them from their next batch on.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from marketplace_ai.db.alias import alias
from marketplace_ai.models import AutomationStop, ClassifierVersion
from marketplace_ai.signals import automation_stopped

from . import monitor

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from marketplace_ai.classifier import Prediction

logger = logging.getLogger(__name__)

Rule = AutomationStop.Rule


@dataclass(frozen=True, slots=True)
class Stops:
    """What is stopped: whole rules, and the labels of single categories."""

    rules: frozenset[str]
    labels: frozenset[str | None]

    def apply_to(self, prediction: Prediction) -> Prediction:
        """The prediction, with its outcome changed to review if its automation is stopped.

        A stopped category is removed from the second categories too.
        """
        if any(label in self.labels for label, _ in prediction.second_categories):
            second_categories = tuple(
                pair for pair in prediction.second_categories if pair[0] not in self.labels
            )
            prediction = replace(prediction, second_categories=second_categories)
        outcome: str = prediction.outcome
        is_stopped_leaf = outcome == Rule.LEAF and prediction.label in self.labels
        if is_stopped_leaf or outcome in self.rules:
            return replace(prediction, outcome="review", threshold=None, parent=None)
        return prediction


def load_stops(classifier_id: int) -> Stops:
    """Load what is stopped for this version now, in one query."""
    stop_rows = active_stops(classifier_id).values_list("rule", "category_id", "category_key")
    rules, labels = set(), set()
    for rule, category_id, key in stop_rows:
        if not key:
            rules.add(rule)
        elif category_id is not None:  # a deleted category is applied to nothing
            labels.add(str(category_id))
    return Stops(frozenset(rules), frozenset(labels))


def active_stops(classifier_id: int) -> QuerySet[AutomationStop]:
    """The stops that apply to this version, whichever version they were made on.

    A version calibrated on audited postings after the stop has seen the errors, so it starts
    without that stop. So does every version fitted after such a version was activated; if it
    was only fitted and never activated, it ends the stop for no other version.
    """
    calibrated_since = ClassifierVersion.objects.filter(
        Q(pk=classifier_id) | Q(pk__lt=classifier_id, activated_at__isnull=False),
        calibrated_on=ClassifierVersion.Calibration.AUDITS,
        created_at__gt=OuterRef("stopped_at"),
        encoder__classifiers=classifier_id,
    )
    return AutomationStop.objects.using(alias()).filter(
        ~Exists(calibrated_since), resumed_at__isnull=True
    )


def stop_refuted(classifier_id: int) -> None:
    """Test the active version's guarantee on its audited postings; stop what is refuted.

    Call inside the transaction that stores the answer. The version is locked, so of two
    simultaneous answers the later one counts the earlier one's error too. Does nothing for a
    version that is not active: it decides nothing that could be stopped.
    """
    with transaction.atomic(using=alias()):
        _stop_refuted(classifier_id)


def _stop_refuted(classifier_id: int) -> None:
    version = (
        ClassifierVersion.objects.using(alias())
        .select_for_update(no_key=True)
        .filter(pk=classifier_id, is_active=True)
        .defer("artifact")
        .first()
    )
    if version is None:
        return
    stopped = load_stops(version.pk)
    report = monitor.monitoring_report(version)
    # Categories first: one category's errors need not stop all the others.
    refuted = [category for category in report.categories if category.refuted]
    for category in refuted:
        if category.label not in stopped.labels and category.rule not in stopped.rules:
            _stop(version, category)
    if refuted:
        report = monitor.monitoring_report(version)
    for rule in report.rules:
        if rule.refuted and rule.rule not in stopped.rules:
            _stop(version, rule)


def _stop(version: ClassifierVersion, rule: monitor.MonitoredRule) -> None:
    stop(
        version,
        rule.rule,
        rule.category_id,
        key=rule.key,
        name=rule.name,
        rows=rule.evidence.rows,
        errors=rule.evidence.errors,
        e_value=rule.evidence.e_value,
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
    """Stop a rule, or one category under it.

    Parameters:
        rule: one of ``AutomationStop.Rule``.
        category_id, key, name: the category; leave them out to stop the whole rule.
        user, reason: who stopped it and why; None and "" for the sequential test.
        evidence: ``rows``, ``errors`` and ``e_value`` of the test.

    Returns the stop, or None if it was stopped already. After the commit it is logged as an
    error and the signal ``automation_stopped`` is sent.

    Example::

        stop(version, Rule.LEAF, category.pk, key="painting", user=user, reason="New scope")
    """
    with transaction.atomic(using=alias()):
        automation_stop, created = AutomationStop.objects.get_or_create(
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
        if not created:
            return None
        automation_stop.refresh_from_db(fields=["stopped_at"])
        transaction.on_commit(
            lambda: _announce(automation_stop, version), using=alias(), robust=True
        )
    return automation_stop


def resume(stop_id: int, user: Any, reason: str) -> bool:
    """Resume automation; False if it was not stopped any more. The test starts over at zero."""
    return bool(
        AutomationStop.objects.using(alias())
        .filter(pk=stop_id, resumed_at__isnull=True)
        .update(resumed_at=Now(), resumed_by=user, resume_reason=reason)
    )


def _announce(automation_stop: AutomationStop, version: ClassifierVersion) -> None:
    what = (
        f"category {automation_stop.category_key!r}"
        if automation_stop.category_key
        else f"rule {automation_stop.rule!r}"
    )
    why = f"stopped by a person: {automation_stop.reason}"
    if automation_stop.rows is not None:
        why = (
            f"{automation_stop.errors} of {automation_stop.rows} audited postings were wrong, "
            f"which refutes the guarantee of {version.target_precision:.0%} "
            f"(e-value {automation_stop.e_value:.0f})"
        )
    logger.error("Automation of %s has stopped; its postings go to review: %s", what, why)
    automation_stopped.send_robust(AutomationStop, stop=automation_stop)
