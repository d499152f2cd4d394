"""Retiring an encoder: its rows in the queue go first, then stored rows, its partition last.

Each step is short or waits without blocking others, and after a kill the next call continues. The
encoder's row and its classifier versions stay, since decisions refer to them.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from django.db import connections, transaction
from django.db.models.functions import Now

from marketplace_ai.db.alias import alias
from marketplace_ai.models import (
    Encoder,
    EncoderState,
    ExemplarEmbedding,
    PostingEmbedding,
    QueuedPosting,
    ShadowDecision,
    TableScan,
)
from marketplace_ai.promotion.eligibility import without_texts
from marketplace_ai.queue import backfill, sql
from marketplace_ai.queue import encoder_locks as queue_encoders

from . import partitions

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import Model

#: Rows deleted in one transaction.
DELETE_BATCH = 5000
#: Pause between two attempts at rows that others lock, and the number of attempts.
HELD_SECONDS, HELD_ATTEMPTS = 0.5, 120


class RetirementError(ValueError):
    """An encoder cannot be retired now; the message says what to do."""


@dataclass(frozen=True, slots=True)
class StoredRows:
    """Numbers of rows stored for an encoder; ``vectors`` is an estimate if there are many."""

    vectors: int
    exemplars: int
    queued: int
    shadow: int
    has_partition: bool

    def as_dict(self) -> dict[str, Any]:
        """The numbers for JSON; ``queued`` under its public key, ``pending``."""
        numbers = asdict(self)
        numbers["pending"] = numbers.pop("queued")
        return numbers

    @property
    def is_nothing(self) -> bool:
        return not (self.has_partition or self.exemplars or self.queued or self.shadow)


def count_stored(encoder: Encoder) -> StoredRows:
    """Count what retiring this encoder deletes."""
    vectors = PostingEmbedding.objects.using(alias()).filter(encoder=encoder)
    planned = backfill.estimate_rows(vectors)
    return StoredRows(
        vectors=planned if planned > backfill.MAX_COUNTED_ROWS else vectors.count(),
        exemplars=ExemplarEmbedding.objects.using(alias()).filter(encoder=encoder).count(),
        queued=QueuedPosting.objects.using(alias()).filter(encoder=encoder).count(),
        shadow=ShadowDecision.objects.using(alias()).filter(encoder=encoder).count(),
        has_partition=partitions.exists(encoder),
    )


def check(encoder: Encoder) -> None:
    """Raise RetirementError for the active encoder."""
    if encoder.state == EncoderState.ACTIVE:
        raise RetirementError(
            f"{encoder.name!r} is the active encoder, by which everything is decided: activate "
            "another one first (manage.py activate_encoder NAME)."
        )


def retire(encoder: Encoder, progress: Callable[[str], None] = lambda line: None) -> None:
    """Retire an encoder, or finish what an interrupted call began.

    Call outside any transaction. Raises RetirementError for the active encoder, and if others
    hold locks for too long; the next call then does the rest.
    """
    with transaction.atomic(using=alias()):
        rows = Encoder.objects.using(alias())
        queue_encoders.lock_exclusive(encoder.pk)
        locked = rows.select_for_update(no_key=True).get(pk=encoder.pk)
        check(locked)
        # Who writes for it holds its row, so from here on nobody does.
        rows.filter(pk=encoder.pk).exclude(state=EncoderState.RETIRED).update(
            state=EncoderState.RETIRED,
            retired_at=Now(),
            is_shadowing=False,
            last_error="",
            comparison=without_texts(locked.comparison),
        )
    encoder.refresh_from_db(using=alias())
    progress("Taking it off the queue")
    TableScan.objects.using(alias()).filter(encoder=encoder).delete()
    _remove_from_queue(encoder)
    progress("Deleting its exemplars' vectors and shadow decisions")
    for model in (ExemplarEmbedding, ShadowDecision):
        _delete(model, encoder)
    progress("Dropping its postings' vectors")
    if not partitions.drop(encoder):
        raise RetirementError(
            "Its vectors are not dropped yet: transactions on the table of vectors, or on the "
            "postings, stay open. It is retired all the same; run the command again."
        )


def _remove_from_queue(encoder: Encoder) -> None:
    """Delete its rows in the queue, waiting for those that an open DELETE of a posting locks."""
    waiting = QueuedPosting.objects.using(alias()).filter(encoder=encoder)
    for _ in range(HELD_ATTEMPTS):
        deleted = 1
        while deleted:
            with connections[alias()].cursor() as cursor:
                cursor.execute(sql.DELETE_QUEUED, {"encoder": encoder.pk, "limit": DELETE_BATCH})
                deleted = cursor.rowcount
        if not waiting.exists():
            return
        time.sleep(HELD_SECONDS)
    raise RetirementError(
        "Some of its rows in the queue are held by an open transaction that deletes postings. It "
        "is retired all the same; run the command again when that has ended."
    )


def _delete(model: type[Model], encoder: Encoder) -> None:
    rows = model._base_manager.using(alias()).filter(encoder=encoder)
    left = rows.order_by("pk")
    while keys := list(left.values_list("pk", flat=True)[:DELETE_BATCH]):
        rows.filter(pk__in=keys).delete()
        # From where it ended, or each step would read what those before it deleted.
        left = rows.filter(pk__gt=keys[-1]).order_by("pk")
