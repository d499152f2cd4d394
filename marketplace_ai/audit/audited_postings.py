"""Answers about audited postings: whether the machine was right, and labels for a fit."""

from __future__ import annotations

from typing import Any

from django.db.models.functions import Now

from marketplace_ai.adapter import get_adapter
from marketplace_ai.db.alias import alias
from marketplace_ai.models import AuditedPosting, Outcome, get_category_model, get_job_model
from marketplace_ai.text.normalize import digest

from . import stops
from .counted_answers import CountedAnswers, answered_rows

#: Levels looked at above an answer; bounds the loop if the tree has a cycle.
MAX_DEPTH = 20
#: Postings read with one query.
BATCH_SIZE = 500


def record_answer(
    posting_id: Any, answer: Any | None, key: str, name: str, text_digest: bytes, user: Any
) -> None:
    """Compare a person's answer with the machine's decision, if the posting was drawn for audit.

    Call inside the transaction that stores the answer, with the posting locked. A later answer
    about the same text replaces an earlier one. An answer about a text other than the one that
    was decided counts neither as right nor as wrong. A wrong decision may stop automation.

    Parameters:
        answer, key, name: the category that the person gave, None and "" for none.
        text_digest: the digest of the text that the answer is about.
    """
    row = AuditedPosting.objects.using(alias()).filter(posting_id=posting_id).first()
    if row is None:
        return
    same_text = bytes(row.text_digest) == text_digest
    if not same_text and row.answered_at is not None:
        return
    row.is_correct = _is_correct(row, answer) if same_text else None
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
        stops.stop_refuted(row.classifier_id)


def _is_correct(row: AuditedPosting, answer: Any | None) -> bool | None:
    if row.category_id is None and (row.category_key or row.probability is None):
        # Its category was deleted since, or the classifier made no prediction.
        return None
    if row.outcome == Outcome.AUTOMATIC_PARENT:
        return row.category_id in _with_ancestors(answer)
    return bool(row.category_id == answer)


def _with_ancestors(category: Any | None) -> list[Any]:
    """The primary keys of the category and its ancestors, nearest first."""
    field = get_adapter().category_parent_field
    ancestors: list[Any] = []
    categories: Any = get_category_model()._base_manager.using(alias())
    while category is not None and len(ancestors) < MAX_DEPTH:
        ancestors.append(category)
        if field is None:
            break
        category = categories.filter(pk=category).values_list(field, flat=True).first()
    return ancestors


def labeled_texts(counted: CountedAnswers) -> list[tuple[str, str | None, str]]:
    """(text, label, family) of each audited posting whose answer counts and whose text has not
    changed.

    Labels are the classifier's, None for "fits no category". In the order of the draw.
    """
    adapter = get_adapter()
    rows = answered_rows().filter(pk__in=[row.pk for row in counted.kept])
    labeled: list[tuple[str, str | None, str]] = []
    answered = list(rows.values_list("posting_id", "answer_id", "text_digest"))
    postings: Any = get_job_model()._base_manager.using(alias())
    for start in range(0, len(answered), BATCH_SIZE):
        batch = answered[start : start + BATCH_SIZE]
        postings_by_pk = postings.in_bulk([posting_id for posting_id, _, _ in batch])
        for posting_id, answer, text_digest in batch:
            posting = postings_by_pk.get(posting_id)
            text = adapter.encoder_input(posting) if posting is not None else ""
            if text and digest(text) == bytes(text_digest):
                family = adapter.prepared_family(adapter.posting_family(posting))
                labeled.append((text, None if answer is None else str(answer), family))
    return labeled
