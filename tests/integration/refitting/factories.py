"""A version that is some weeks old, and what it decided since."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from django.utils import timezone

from marketplace_ai.models import ClassifierVersion, Decision, Encoder, JobPosting, Outcome
from marketplace_ai.text.normalize import digest

WEEK = dt.timedelta(days=7)


def aged(days: float) -> ClassifierVersion:
    """The active version, as if it had been activated so many days ago."""
    before = timezone.now() - dt.timedelta(days=days)
    Encoder.objects.update(activated_at=before)
    versions = ClassifierVersion.objects.filter(is_active=True)
    versions.update(activated_at=before)
    return versions.select_related("encoder").get()


def decided(
    version: ClassifierVersion,
    start: dt.datetime,
    keys: Sequence[str],
    *,
    sure: float = 0.9,
    period: dt.timedelta = WEEK,
    **fields: Any,
) -> list[Decision]:
    """A posting for each key of its first choice, decided evenly over a period."""
    jobs = JobPosting.objects.bulk_create(
        JobPosting(title=f"{key} {start} {number}") for number, key in enumerate(keys)
    )
    return Decision.objects.bulk_create(
        Decision(
            posting=job, encoder=version.encoder, classifier=version, outcome=Outcome.REVIEW,
            probability=sure, choice_keys=[key, ""],
            # Not two of them are equal, as with any posting.
            choice_probabilities=[sure - number / 1e5, 1 - sure],
            text_digest=digest(job.title),
            decided_at=start + period * number / len(keys),
            **fields,
        )
        for number, (job, key) in enumerate(zip(jobs, keys, strict=True))
    )  # fmt: skip


def drifted(version: ClassifierVersion) -> None:
    """The lawns rest: what came in in the first week comes no longer in the last."""
    start = version.activated_at
    assert start is not None
    decided(version, start, ["plen", "maling"] * 100)
    decided(version, timezone.now() - dt.timedelta(days=7.5), ["rorlegger", "maling"] * 100)
