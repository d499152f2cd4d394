"""Recording of people's answers in the review queue and the audit.

A confirmation, a correction and "none of these" are all the same: a person gives the label.
It becomes the posting's category, a decision that the machine never overrides, and an
exemplar that votes from the next batch on.
"""

from __future__ import annotations

from typing import Any

from django.db import DatabaseError, connections, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext

from marketplace_ai.adapter import CategoryRefusedError, JobAdapter, get_adapter
from marketplace_ai.audit import audited_postings
from marketplace_ai.conf import conf
from marketplace_ai.db.alias import alias
from marketplace_ai.db.error_kind import ErrorKind, SetupError, describe, error_kind
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
    posting_id: Any,
    category_id: Any | None,
    user: Any,
    *,
    seen: int | None = None,
) -> Decision:
    """Record a person's answer about a posting, in one transaction.

    Parameters:
        category_id: the category that the person gave; None if the posting fits no category.
        user: the person, of AUTH_USER_MODEL, or None.
        seen: the primary key of the decision that the person saw; None accepts any.

    Returns the new decision. Raises ``AnswerError``, and writes nothing, if the posting or the
    category does not exist any more, or ``seen`` is not the current decision.

    Example::

        answer(posting.pk, category.pk, request.user, seen=decision.pk)
    """
    adapter = get_adapter()
    with transaction.atomic(using=alias()):
        posting = (
            get_job_model()
            ._base_manager.using(alias())
            .select_for_update(of=("self",), no_key=True)
            .filter(pk=posting_id)
            .first()
        )
        if posting is None:
            raise AnswerError(gettext("The posting does not exist any more."))
        previous = (
            Decision.objects.using(alias()).filter(posting_id=posting_id, is_current=True).first()
        )
        category = _lock_categories(posting_id, category_id, previous).get(category_id)
        if category_id is not None and category is None:
            raise AnswerError(gettext("The category does not exist any more."))
        if seen is not None and (previous is None or previous.pk != seen):
            raise AnswerError(
                gettext("Somebody else or a new text has changed the decision meanwhile.")
            )

        key = adapter.category_key(category)[:200] if category is not None else ""
        is_confirmed = previous is not None and previous.category_id == category_id
        text, family = _text_and_family(adapter, posting)
        if previous is not None:
            Decision.objects.filter(pk=previous.pk).update(is_current=False)
        decision = Decision.objects.create(
            posting_id=posting_id,
            encoder_id=previous.encoder_id if previous else None,
            classifier_id=previous.classifier_id if previous else None,
            category_id=category_id,
            category_key=key,
            category_name=adapter.category_name(category)[:300] if category is not None else "",
            outcome=Outcome.CONFIRMED if is_confirmed else Outcome.CORRECTED,
            is_answered=True,
            text_digest=digest(text),
            decided_by=user,
            decided_at=Now(),
        )
        audited_postings.record_answer(
            posting_id, category_id, key, decision.category_name, digest(text), user
        )
        _apply(adapter, posting_id, category_id)
        if not is_blank(text):
            _add_exemplar(posting_id, text, category_id, key, family, user)
    decision.refresh_from_db(fields=["decided_at"])
    return decision


def _text_and_family(adapter: JobAdapter, posting: Any) -> tuple[str, str]:
    """What the posting's exemplar will hold. Raises AnswerError where the adapter fails on it."""
    try:
        return (
            adapter.encoder_input(posting),
            adapter.prepared_family(adapter.posting_family(posting)),
        )
    except DatabaseError:
        raise
    except Exception as error:
        raise AnswerError(
            gettext("Your project's adapter fails on this posting: %s")
            % f"{type(error).__name__}: {error}"
        ) from error


def _lock_categories(
    posting_id: Any, category_id: Any | None, previous: Decision | None
) -> dict[Any, Any]:
    """Lock the category of the answer, and those that its decision and exemplar leave: a DELETE of
    one would wait for these rows, and the answer for what that holds."""
    replaced = Exemplar.objects.using(alias()).filter(posting_id=posting_id)
    wanted = {category_id, *replaced.values_list("category_id", flat=True)}
    if previous is not None:
        wanted.add(previous.category_id)
    try:
        return lock_categories(wanted - {None})
    except SetupError as error:
        raise AnswerError(f"{error} {error.cure}") from error


def _apply(adapter: JobAdapter, posting_id: Any, category_id: Any | None) -> None:
    """Write the category. Raises AnswerError where the project's own database refuses it."""
    try:
        adapter.apply_categories({posting_id: category_id}, by="person")
    except CategoryRefusedError as error:
        raise AnswerError(
            gettext("A trigger of your project's database keeps the posting's category as it is.")
        ) from error
    except DatabaseError as error:
        if error_kind(error) is not ErrorKind.POSTING:
            raise
        raise AnswerError(
            gettext("The database refuses this category: %s") % describe(error)
        ) from error


#: A reviewed exemplar has the text of its posting, so it gets a copy of its vectors. Not if the
#: back end rounds vectors: exemplars have exact ones (``TextEncoder.reference_encoder``).
REUSE_VECTOR = """
INSERT INTO marketplace_ai_exemplarembedding (exemplar_id, encoder_id, vector)
SELECT %(exemplar)s, vector.encoder_id, vector.vector FROM marketplace_ai_postingembedding AS vector
JOIN marketplace_ai_encoder AS encoder
     ON encoder.id = vector.encoder_id AND encoder.state <> 'retired'
WHERE vector.posting_id = %(posting)s AND vector.text_digest = %(digest)s
ON CONFLICT (exemplar_id, encoder_id) DO NOTHING
"""


def _add_exemplar(
    posting_id: Any, text: str, category_id: Any | None, key: str, family: str, user: Any
) -> None:
    """Make the posting an exemplar, replacing the one of an earlier answer."""
    Exemplar.objects.filter(posting_id=posting_id).delete()
    exemplar = Exemplar.objects.create(
        text=text,
        text_digest=digest(text),
        category_id=category_id,
        category_key=key,
        is_none=category_id is None,
        family=family,
        source=ExemplarSource.REVIEWED,
        posting_id=posting_id,
        created_by=user,
    )
    if not backend_registry.is_reference(conf.backend):
        return
    with connections[alias()].cursor() as cursor:
        cursor.execute(
            REUSE_VECTOR, {"exemplar": exemplar.pk, "posting": posting_id, "digest": digest(text)}
        )
