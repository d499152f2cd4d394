"""Factories of a version with a guarantee and of its audited postings, without a worker."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.utils import timezone

from marketplace_ai.adapter import get_adapter
from marketplace_ai.models import (
    AuditedPosting,
    Category,
    ClassifierVersion,
    JobPosting,
    Outcome,
)
from marketplace_ai.queue import audit_sample
from marketplace_ai.text.normalize import digest
from tests.integration.admin.factories import decide, encoder

RULE = {"threshold": 0.9, "rows": 120, "errors": 1, "coverage": 0.6, "rows_needed": 0}


def version(*categories: Category, calibrated_on: str = "postings") -> ClassifierVersion:
    """An active version that automates these categories, their parents and "none"."""
    ClassifierVersion.objects.filter(encoder=encoder()).update(is_active=False)
    return ClassifierVersion.objects.create(
        encoder=encoder(), artifact=b"x", target_precision=0.97, confidence_level=0.95,
        calibrated_on=calibrated_on, exemplar_generation=1, is_active=True,
        activated_at=timezone.now(),
        figures={
            "automatic": RULE, "parent": RULE, "none": RULE,
            "categories": [
                {
                    "label": str(category.pk), "key": category.slug, "name": category.name,
                    "rows": 30, "automatic": 20, "errors": 0, "has_own_guarantee": False,
                    "automated": True, "rows_needed": 79,
                }
                for category in categories
            ],
        },
    )  # fmt: skip


def audited(
    classifier_version: ClassifierVersion | None,
    category: Category | None,
    outcome: str = Outcome.AUTOMATIC,
    *,
    age: int = 60,
    **fields: Any,
) -> JobPosting:
    """A posting that was decided and drawn for audit ``age`` minutes ago."""
    posting = JobPosting.objects.create(title=f"Male stue {JobPosting.objects.count()}")
    decided = timezone.now() - dt.timedelta(minutes=age)
    decision = decide(posting, category, outcome, 0.97, classifier=classifier_version, **fields)
    type(decision).objects.filter(pk=decision.pk).update(decided_at=decided)
    audit_sample.record([posting.pk])
    return posting


def judged(
    classifier_version: ClassifierVersion,
    category: Category | None,
    right: int,
    wrong: int,
    **fields: Any,
) -> None:
    """Create answered audited postings, the wrong ones last, without running the test."""
    outcome = fields.pop("outcome", Outcome.AUTOMATIC)
    drawn = timezone.now() - dt.timedelta(days=1)
    AuditedPosting.objects.bulk_create(
        AuditedPosting(
            classifier=classifier_version, encoder=classifier_version.encoder,
            outcome=outcome, category=category,
            category_key=category.slug if category else "",
            category_name=category.name if category else "", probability=0.97,
            text_digest=b"x", drawn_at=drawn + dt.timedelta(seconds=n), answered_at=timezone.now(),
            is_correct=n < right, **fields,
        )
        for n in range(right + wrong)
    )  # fmt: skip


def text_digest(posting: JobPosting) -> bytes:
    return digest(get_adapter().encoder_input(posting))
