"""Switch the active encoder, and roll back to the previous one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.db import connections, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext

from marketplace_ai.db import advisory_locks
from marketplace_ai.db.alias import alias
from marketplace_ai.models import (
    ClassifierVersion,
    Encoder,
    EncoderState,
    Promotion,
    PromotionKind,
    ScanPurpose,
    TableScan,
)
from marketplace_ai.queue import encoder_locks
from marketplace_ai.versions import activation
from marketplace_ai.versions.errors import ActivationConflictError, VersionError

from .eligibility import previous_encoder, without_texts

#: Limits for the transaction of a switch: a lock that is not granted, a process that hangs in it.
LOCK_TIMEOUTS = (
    "SET LOCAL lock_timeout = '10s'; SET LOCAL idle_in_transaction_session_timeout = '10s'"
)


@dataclass(frozen=True, slots=True)
class PromotionRecord:
    """What a ``Promotion`` says about a switch: its kind, the reason that was given, the comparison
    (without texts) and who asked for it (None: a command)."""

    kind: PromotionKind
    reason: str = ""
    comparison: dict[str, Any] = field(default_factory=dict)
    user: Any = None


@dataclass(frozen=True, slots=True)
class ClassifierChange:
    """A stored version to activate for the new encoder instead of version ``expected``."""

    version: ClassifierVersion
    expected: int | None


def switch_encoder(
    encoder: Encoder,
    *,
    expected: Encoder | None,
    record: PromotionRecord,
    classifier: ClassifierChange | None = None,
) -> Promotion:
    """Make a ready encoder the active one and record it, in one transaction; then requeue reviews.

    Workers follow with their next batch.

    Args:
        encoder: the encoder to activate.
        expected: the encoder that the person saw as active.
        record: what the promotion says.
        classifier: the version to activate for it; None keeps the one that is active.

    Raises:
        ActivationConflictError: another encoder than ``expected`` is active by now, or another
            version than ``classifier.expected`` is active for ``encoder``.
        VersionError: the encoder is no longer ready.

    Nothing is changed in case of an error.
    """
    with transaction.atomic(using=alias()):
        _lock()
        active = Encoder.objects.active()
        if active != expected:
            raise ActivationConflictError(
                gettext("The encoder %(active)s became active meanwhile, so %(name)s did not.")
                % {"active": active or gettext("none"), "name": encoder}
            )
        encoder_locks.lock_exclusive(encoder.pk, *([] if active is None else [active.pk]))
        locked = _lock_ready(encoder)
        if classifier is not None:
            activation.set_active(classifier.version, expected=classifier.expected)
        if active is not None:
            _replace(active, encoder)
        _activate(locked)
        promotion = _save_record(record, encoder, active)
        encoder.refresh_from_db(using=alias())
    activation.requeue_reviews()
    return promotion


def roll_back(*, expected: Encoder | None, user: Any = None) -> Promotion:
    """Make the previous encoder active again, with the version that is active for it.

    No comparison: it was active before, and its vectors were kept up to date. ``expected`` is the
    encoder that the person saw as active. Raises what ``switch_encoder`` and ``previous_encoder``
    raise, and ArtifactError where the bytes of its classifier cannot be used.
    """
    target = previous_encoder(expected)
    if version := activation.active_version_id(target):
        activation.load(version)
    return switch_encoder(
        target, expected=expected, record=PromotionRecord(PromotionKind.ROLLED_BACK, user=user)
    )


def _lock() -> None:
    """Take the lock of activations. Every write waits for it, so the transaction must be short."""
    with connections[alias()].cursor() as cursor:
        cursor.execute(LOCK_TIMEOUTS)
        advisory_locks.lock(cursor, advisory_locks.ACTIVATION)


def _lock_ready(encoder: Encoder) -> Encoder:
    """The locked row of an encoder; VersionError unless it is ready."""
    rows = Encoder.objects.using(alias()).select_for_update(no_key=True)
    locked = rows.get(pk=encoder.pk)
    if locked.state != EncoderState.READY:
        raise VersionError(
            gettext("The encoder %(name)s is not ready, but %(state)s.")
            % {"name": encoder, "state": locked.get_state_display()}
        )
    return locked


def _replace(active: Encoder, successor: Encoder) -> None:
    """Make the active encoder a ready one, and give its unfinished backfills to its successor: what
    they queue is still to be decided, and for a candidate they would only produce vectors."""
    Encoder.objects.using(alias()).filter(pk=active.pk).update(
        state=EncoderState.READY, replaced_at=Now()
    )
    TableScan.objects.using(alias()).unfinished().filter(
        purpose=ScanPurpose.BACKFILL, encoder=active, is_vector_only=False
    ).update(encoder=successor)


def _activate(encoder: Encoder) -> None:
    """Make it active, and delete the texts of its comparison, which no later one replaces."""
    Encoder.objects.using(alias()).filter(pk=encoder.pk).update(
        state=EncoderState.ACTIVE,
        activated_at=Now(),
        is_shadowing=False,
        comparison=without_texts(encoder.comparison),
    )


def _save_record(record: PromotionRecord, encoder: Encoder, previous: Encoder | None) -> Promotion:
    promotion = Promotion.objects.using(alias()).create(
        kind=record.kind,
        encoder=encoder,
        previous_encoder=previous,
        reason=record.reason,
        comparison=record.comparison,
        switched_at=Now(),
        switched_by=record.user,
    )
    promotion.refresh_from_db(using=alias(), fields=["switched_at"])
    return promotion
