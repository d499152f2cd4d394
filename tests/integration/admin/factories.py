"""Postings with decisions as the machine writes them, without a worker."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Permission, User
from django.utils import timezone

from marketplace_ai.adapter import get_adapter
from marketplace_ai.models import (
    Category,
    Decision,
    Encoder,
    EncoderState,
    Exemplar,
    ExemplarSource,
    JobPosting,
    Outcome,
    QueuedPosting,
)
from marketplace_ai.queue.write import prepared_text
from marketplace_ai.text.normalize import digest

HOSTILE = """<script>alert(1)</script>"><img src=x onerror=alert(2)>"""


def encoder() -> Encoder:
    """The active one; one without files where there is none."""
    if active := Encoder.objects.active():
        return active
    made, _ = Encoder.objects.get_or_create(
        name="one",
        defaults={
            "source": "dummy", "dimension": 8, "max_tokens": 16, "precision": "float32",
            "weights_hash": "0" * 64, "state": EncoderState.ACTIVE,
        },
    )  # fmt: skip
    return made


def exemplar(text: str, category: Category | None, **fields: Any) -> Exemplar:
    return Exemplar.objects.create(
        text=text,
        text_digest=digest(text),
        category=category,
        category_key=category.slug if category else "",
        is_none=category is None,
        source=ExemplarSource.IMPORTED,
        **fields,
    )


def decide(
    job: JobPosting,
    category: Category | None,
    outcome: str = Outcome.REVIEW,
    probability: float | None = 0.8,
    matches: tuple[Exemplar, ...] = (),
    **fields: Any,
) -> Decision:
    """A decision of the machine's, applied to the posting where that is automatic."""
    Decision.objects.filter(posting=job, is_current=True).update(is_current=False)
    automatic = outcome in (Outcome.AUTOMATIC, Outcome.AUTOMATIC_PARENT)
    if automatic:
        JobPosting.objects.filter(pk=job.pk).update(category=category, category_set_by="machine")
    values: dict[str, Any] = {
        "threshold": 0.95,
        "machine_category_id": category.pk if automatic and category else None,
        "head_share": 0.4,
        "choice_keys": [category.slug if category else ""],
        "choice_probabilities": [probability or 0.0],
        **fields,
    }
    return Decision.objects.create(
        posting=job,
        encoder=encoder(),
        category=category,
        category_key=category.slug if category else "",
        category_name=category.name if category else "",
        probability=probability,
        outcome=outcome,
        text_digest=digest(prepared_text(get_adapter(), job)),
        decided_at=timezone.now(),
        match_exemplars=[e.pk for e in matches],
        match_similarities=[0.9 - i / 100 for i in range(len(matches))],
        match_shares=[0.2 / (i + 1) for i in range(len(matches))],
        **values,
    )


def pend(job: JobPosting, **fields: Any) -> QueuedPosting:
    now = timezone.now()
    return QueuedPosting.objects.create(posting=job, queued_at=now, scheduled_at=now, **fields)


def staff(username: str, *permissions: str) -> User:
    """A member of staff with exactly these permissions of ours, such as view_jobposting."""
    user = User.objects.create_user(username, password="x", is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(
            content_type__app_label="marketplace_ai", codename__in=permissions
        )
    )
    return user


def messages_of(response: Any) -> list[str]:
    return [str(message) for message in response.context["messages"]]
