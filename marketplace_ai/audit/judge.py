"""What people's answers say about audited postings: right or wrong, and labels for a fit."""

from __future__ import annotations

from typing import Any

from django.db.models.functions import Now

from marketplace_ai.adapter import get_adapter
from marketplace_ai.db.alias import alias
from marketplace_ai.models import AuditedPosting, Outcome, get_category_model, get_job_model
from marketplace_ai.text.normalize import digest

from . import stops

#: Parents looked at above an answer; a tree that is deeper, or a ring, ends the walk.
DEEPEST = 20
#: Postings read at once for a fit.
STEP = 500


def judge(job_id: Any, answer: Any | None, key: str, name: str, text: bytes, user: Any) -> None:
    """Hold a person's answer about a posting against what the machine decided.

    Inside the answer's transaction, with the posting locked. A later answer about the
    same text takes the place of an earlier one; an answer about another text than the one
    that was decided judges nothing. A wrong one may stop automation.
    """
    row = AuditedPosting.objects.using(alias()).filter(posting_id=job_id).first()
    if row is None:
        return
    same_text = bytes(row.text_digest) == text
    if not same_text and row.answered_at is not None:
        return
    row.is_correct = _is_right(row, answer) if same_text else None
    row.answer_id, row.answer_key, row.answer_name = answer, key, name
    row.answered_at, row.answered_by = Now(), user
    row.save(
        update_fields=[
            "is_correct",
            "answer",
            "answer_key",
            "answer_name",
            "answered_at",
            "answered_by",
        ]
    )
    if row.is_correct is False and row.classifier_id is not None:
        stops.examine(row.classifier_id)


def _is_right(row: AuditedPosting, answer: Any | None) -> bool | None:
    if row.category_id is None and (row.category_key or row.probability is None):
        # Its category was deleted since, or nothing was said by the classifier.
        return None
    if row.outcome == Outcome.AUTOMATIC_PARENT:
        return row.category_id in _with_parents(answer)
    return bool(row.category_id == answer)


def _with_parents(category: Any | None) -> list[Any]:
    """The category and all above it, nearest first."""
    field = get_adapter().category_parent_field
    line: list[Any] = []
    rows: Any = get_category_model()._base_manager.using(alias())
    while category is not None and len(line) < DEEPEST:
        line.append(category)
        if field is None:
            break
        category = rows.filter(pk=category).values_list(field, flat=True).first()
    return line


def labelled() -> list[tuple[str, str | None]]:
    """(text, label) of every audited posting that was answered and still says the same.

    Labels are the classifier's, None for "fits none". In the order in which they were drawn.
    """
    adapter = get_adapter()
    rows = (
        AuditedPosting.objects.using(alias())
        .filter(answered_at__isnull=False, posting__isnull=False)
        .exclude(answer__isnull=True, answer_key__gt="")  # the answer's category is gone
        .order_by("drawn_at", "pk")
    )
    found: list[tuple[str, str | None]] = []
    known = list(rows.values_list("posting_id", "answer_id", "text_digest"))
    jobs: Any = get_job_model()._base_manager.using(alias())
    for start in range(0, len(known), STEP):
        step = known[start : start + STEP]
        there = jobs.in_bulk([job_id for job_id, _, _ in step])
        for job_id, answer, seen in step:
            job = there.get(job_id)
            text = adapter.encoder_input(job) if job is not None else ""
            if text and digest(text) == bytes(seen):
                found.append((text, None if answer is None else str(answer)))
    return found
