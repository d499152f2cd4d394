"""How one encoder takes another's place, and how that is taken back."""

from __future__ import annotations

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
from marketplace_ai.versions.errors import Overtaken, VersionError

from .rules import for_the_record, previous

#: For the switch's own transaction: a lock that is not given, or a process that is frozen in it.
TIMEOUTS = "SET LOCAL lock_timeout = '10s'; SET LOCAL idle_in_transaction_session_timeout = '10s'"


def switch(
    encoder: Encoder,
    *,
    instead_of: Encoder | None,
    kind: PromotionKind,
    version: ClassifierVersion | None = None,
    version_before: int | None = None,
    reason: str = "",
    comparison: dict[str, Any] | None = None,
    user: Any = None,
) -> Promotion:
    """Make a ready encoder the active one, and record it, in one transaction; then what waits
    for review is decided anew. Workers follow with their next batch.

    ``version``, a stored classifier of the encoder, is put in force for it; None keeps the one
    that is. Raises Overtaken, and changes nothing, where another encoder than ``instead_of``
    is active by now or another version than ``version_before`` in force for ``encoder``, and
    VersionError where it is no longer ready.
    """
    with transaction.atomic(using=alias()):
        with connections[alias()].cursor() as cursor:
            # Everything that is written waits while this does, so it must not take long.
            cursor.execute(TIMEOUTS)
            advisory_locks.lock(cursor, advisory_locks.ACTIVATION)
        rows = Encoder.objects.using(alias())
        active = Encoder.objects.active()
        if active != instead_of:
            raise Overtaken(
                gettext("The encoder %(active)s became active meanwhile, so %(name)s did not.")
                % {"active": active or gettext("none"), "name": encoder}
            )
        encoder_locks.hold(encoder.pk, *([] if active is None else [active.pk]))
        now = rows.select_for_update(no_key=True).get(pk=encoder.pk)
        if now.state != EncoderState.READY:
            raise VersionError(
                gettext("The encoder %(name)s is not ready, but %(state)s.")
                % {"name": encoder, "state": now.get_state_display()}
            )
        if version is not None:
            activation.put_in_force(version, instead_of=version_before)
        if active is not None:
            rows.filter(pk=active.pk).update(state=EncoderState.READY, replaced_at=Now())
            # What was still to be decided is the new one's to decide; as walks of the former one
            # these would give vectors alone.
            TableScan.objects.using(alias()).unfinished().filter(
                purpose=ScanPurpose.BACKFILL, encoder=active, is_vector_only=False
            ).update(encoder=encoder)
        # The texts of its comparison have served; nothing would take their place.
        rows.filter(pk=encoder.pk).update(
            state=EncoderState.ACTIVE,
            activated_at=Now(),
            is_shadowing=False,
            comparison=for_the_record(now.comparison),
        )
        made = Promotion.objects.using(alias()).create(
            kind=kind,
            encoder=encoder,
            previous_encoder=active,
            reason=reason,
            comparison=comparison or {},
            switched_at=Now(),
            switched_by=user,
        )
        made.refresh_from_db(using=alias(), fields=["switched_at"])
        encoder.refresh_from_db(using=alias())
    activation.queue_review()
    return made


def roll_back(*, instead_of: Encoder | None, user: Any = None) -> Promotion:
    """Make the encoder active that was so before, with the classifier that is in force for it.

    Not gated: it has decided before, and its vectors were kept current since. For
    ``instead_of`` and what is raised see ``switch`` and ``previous``; ArtifactError where the
    bytes of its classifier cannot be used.
    """
    target = previous(instead_of)
    if version := activation.in_force(target):
        activation.load(version)
    return switch(target, instead_of=instead_of, kind=PromotionKind.ROLLED_BACK, user=user)
