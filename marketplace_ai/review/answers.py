"""What people answer about postings: the one place that records it.

A confirmation, a correction and "none of these" are the same act: a person gives the label.
It becomes the posting's category, a decision that the machine never overrides, and an
exemplar that votes from the next batch on.
"""

from __future__ import annotations

from typing import Any

from django.db import connections, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext

from marketplace_ai.adapter import get_adapter
from marketplace_ai.audit import judge
from marketplace_ai.conf import conf
from marketplace_ai.db.alias import alias
from marketplace_ai.encoding import backend_registry
from marketplace_ai.models import (
    Decision,
    Exemplar,
    ExemplarSource,
    Outcome,
    get_job_model,
)
from marketplace_ai.queue.category_locks import lock_categories
from marketplace_ai.text.normalize import digest, is_blank


class AnswerError(ValueError):
    """An answer that cannot be recorded, with the reason for the person who gave it."""


def answer(
    job_id: Any,
    category_id: Any | None,
    user: Any,
    *,
    seen: int | None = None,
) -> Decision:
    """Record that ``user`` (of AUTH_USER_MODEL, or None) gives the posting its category.

    A category of None says that the posting fits none.

    ``seen`` is the decision that the person looked at; if another one has taken its place
    since, nothing is written. Raises AnswerError for that and for what does not exist.
    """
    adapter = get_adapter()
    with transaction.atomic(using=alias()):
        job = (
            get_job_model()
            ._base_manager.using(alias())
            .select_for_update(of=("self",), no_key=True)
            .filter(pk=job_id)
            .first()
        )
        if job is None:
            raise AnswerError(gettext("The posting does not exist any more."))
        category = None
        if category_id is not None:
            category = lock_categories([category_id]).get(category_id)
            if category is None:
                raise AnswerError(gettext("The category does not exist any more."))
        before = Decision.objects.using(alias()).filter(posting_id=job_id, is_current=True).first()
        if seen is not None and (before is None or before.pk != seen):
            raise AnswerError(
                gettext("Somebody else or a new text has changed the decision meanwhile.")
            )

        key = adapter.category_key(category)[:200] if category is not None else ""
        proposed = before is not None and before.category_id == category_id
        text = adapter.encoder_input(job)
        if before is not None:
            Decision.objects.filter(pk=before.pk).update(is_current=False)
        decision = Decision.objects.create(
            posting_id=job_id,
            encoder_id=before.encoder_id if before else None,
            classifier_id=before.classifier_id if before else None,
            category_id=category_id,
            category_key=key,
            category_name=adapter.category_name(category)[:300] if category is not None else "",
            outcome=Outcome.CONFIRMED if proposed else Outcome.CORRECTED,
            is_answered=True,
            text_digest=digest(text),
            decided_by=user,
            decided_at=Now(),
        )
        judge.judge(job_id, category_id, key, decision.category_name, digest(text), user)
        adapter.apply_categories({job_id: category_id}, by="person")
        if not is_blank(text):
            _learn(job_id, text, category_id, key, user)
    decision.refresh_from_db(fields=["decided_at"])
    return decision


#: A reviewed exemplar has the text of its posting, so it takes the vector along; but not a
#: rounded one, which exemplars never have (``TextEncoder.reference_encoder``).
REUSE_VECTOR = """
INSERT INTO marketplace_ai_exemplarembedding (exemplar_id, encoder_id, vector)
SELECT %(exemplar)s, vector.encoder_id, vector.vector FROM marketplace_ai_postingembedding AS vector
JOIN marketplace_ai_encoder AS encoder
     ON encoder.id = vector.encoder_id AND encoder.state <> 'retired'
WHERE vector.posting_id = %(job)s AND vector.text_digest = %(digest)s
ON CONFLICT (exemplar_id, encoder_id) DO NOTHING
"""


def _learn(job_id: Any, text: str, category_id: Any | None, key: str, user: Any) -> None:
    """Make the posting an exemplar, in place of what it taught before."""
    Exemplar.objects.filter(posting_id=job_id).delete()
    exemplar = Exemplar.objects.create(
        text=text,
        text_digest=digest(text),
        category_id=category_id,
        category_key=key,
        is_none=category_id is None,
        source=ExemplarSource.REVIEWED,
        posting_id=job_id,
        created_by=user,
    )
    if not backend_registry.is_reference(conf.backend):
        return
    with connections[alias()].cursor() as cursor:
        cursor.execute(
            REUSE_VECTOR, {"exemplar": exemplar.pk, "job": job_id, "digest": digest(text)}
        )
