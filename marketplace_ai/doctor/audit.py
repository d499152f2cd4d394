"""Checks of the audit and of automation stops."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from django.utils import timezone

from marketplace_ai.audit import stops
from marketplace_ai.audit.basis_wording import basis_report
from marketplace_ai.conf import conf
from marketplace_ai.doctor.classifier import active_version
from marketplace_ai.doctor.finding import Finding
from marketplace_ai.guarantee.basis import BasisKind
from marketplace_ai.models import AuditedPosting
from marketplace_ai.queue import stats

#: If an audited posting waits longer than this, nobody answers the audit.
UNANSWERED = dt.timedelta(days=7)
#: Automation stops listed by name.
STOPS_NAMED = 5
NOTHING_AUTOMATIC = (
    "Answer what waits in admin under Audits, or give a file of labeled postings: "
    "fit_classifier --calibration FILE."
)


def audit() -> Iterator[Finding]:
    """Whether postings are drawn for audit and people answer them."""
    waiting = AuditedPosting.objects.unanswered()
    count = waiting.order_by()[: stats.LARGEST_COUNT + 1].count()
    oldest = waiting.order_by("drawn_at", "pk").values_list("drawn_at", flat=True).first()
    is_late = oldest is not None and timezone.now() - oldest > UNANSWERED
    message = (
        f"{conf.audit_sample_rate:.2%} of all postings are drawn, {stats.format_count(count)} wait"
    )
    cure = ""
    if is_late:
        cure = "Have somebody answer them in admin under Audit: until then nothing monitors them."
    elif not conf.audit_sample_rate:
        cure = (
            "Set MARKETPLACE_AI_AUDIT_SAMPLE_RATE: without an audit nothing monitors the guarantee."
        )
    yield Finding("audit", True, message, cure)


def automation() -> Iterator[Finding]:
    """Which rules and categories of the active version are stopped."""
    version = active_version()
    if version is None:
        return
    active = list(stops.active_stops(version.pk).order_by("pk")[: STOPS_NAMED + 1])
    if active:
        names = [stop.category_key or f"rule {stop.rule}" for stop in active[:STOPS_NAMED]]
        more = " and more" if len(active) > STOPS_NAMED else ""
        yield Finding(
            "automation", False,
            f"Automation has stopped: {', '.join(names)}{more}. Those postings go to review.",
            "See why in admin under Automation; then resume it there, or fit again.",
        )  # fmt: skip


def guarantee() -> Iterator[Finding]:
    """What the guarantee of the active version rests on, and what would make it hold in
    production."""
    version = active_version()
    report = None if version is None else basis_report(version)
    if report is not None:
        message = f"{report['sentence']} {report['out_of_scope_sentence']}".strip()
        cure = NOTHING_AUTOMATIC if report["kind"] == BasisKind.NOTHING else ""
        yield Finding("guarantee", True, message, cure, details=report)


CHECKS = [audit, automation, guarantee]
