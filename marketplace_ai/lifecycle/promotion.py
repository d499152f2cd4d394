"""Which encoder is active: how one takes another's place, and how it is taken back."""

from __future__ import annotations

from typing import Any

from django.db import connections, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext

from marketplace_ai.models import (
    ClassifierVersion,
    Encoder,
    EncoderState,
    Exemplar,
    ExemplarEmbedding,
    ExemplarState,
    PendingJob,
    Promotion,
    PromotionKind,
    Walk,
)
from marketplace_ai.queue.sql import alias

from . import versions
from .versions import Overtaken, VersionError

#: Rows of the queue counted; more are "more than" so many.
LARGEST_COUNT = 10_000


def find(name: str) -> Encoder:
    """A registered encoder that has vectors; VersionError names those that there are."""
    encoder = Encoder.objects.using(alias()).filter(name=name).first()
    if encoder is None:
        known = Encoder.objects.exclude(state=EncoderState.RETIRED).order_by("pk")
        names = ", ".join(known.values_list("name", flat=True)) or gettext("none")
        raise VersionError(
            gettext("There is no encoder %(name)s. Registered are: %(names)s.")
            % {"name": name, "names": names}
        )
    if encoder.state == EncoderState.RETIRED:
        raise VersionError(_retired(encoder))
    return encoder


def why_not(encoder: Encoder) -> str | None:
    """Why an encoder cannot become the active one; None where it can (or is)."""
    if encoder.state == EncoderState.RETIRED:
        return _retired(encoder)
    if encoder.state == EncoderState.BUILDING:
        return gettext(
            "The encoder %(name)s is still being built (%(lacking)s). It becomes ready by itself "
            "while workers run."
        ) % {"name": encoder, "lacking": lacking(encoder)}
    return None


def _retired(encoder: Encoder) -> str:
    return gettext(
        "The encoder %(name)s is retired and its vectors are gone: register its files again "
        "under another name."
    ) % {"name": encoder}


def lacking(encoder: Encoder) -> str:
    """In words, what an encoder that is being built has yet to encode."""
    has_vector = ExemplarEmbedding.objects.filter(encoder=encoder).values("exemplar_id")
    exemplars = Exemplar.objects.filter(state=ExemplarState.ACTIVE).exclude(pk__in=has_vector)
    walk = Walk.objects.unfinished().filter(encoder=encoder).order_by("pk").first()
    waiting = PendingJob.objects.filter(encoder=encoder)[:LARGEST_COUNT].count()
    parts = [gettext("%(n)s exemplars without a vector") % {"n": exemplars.count()}]
    if walk is not None:
        parts.append(
            gettext("backfill: %(done)s of %(total)s postings queued")
            % {"done": walk.queued, "total": walk.total}
        )
    parts.append(gettext("%(n)s postings in the queue") % {"n": waiting})
    return ", ".join(parts)


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
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [versions.SWITCH_LOCK])
        rows = Encoder.objects.using(alias())
        active = Encoder.objects.active()
        if active != instead_of:
            raise Overtaken(
                gettext("The encoder %(active)s became active meanwhile, so %(name)s did not.")
                % {"active": active or gettext("none"), "name": encoder}
            )
        # Whoever retires it waits for this row, and then finds it active.
        now = rows.select_for_update().get(pk=encoder.pk)
        if now.state != EncoderState.READY:
            raise VersionError(
                gettext("The encoder %(name)s is not ready, but %(state)s.")
                % {"name": encoder, "state": now.get_state_display()}
            )
        if version is not None:
            versions.put_in_force(version, instead_of=version_before)
        if active is not None:
            rows.filter(pk=active.pk).update(state=EncoderState.READY, replaced=Now())
        rows.filter(pk=encoder.pk).update(state=EncoderState.ACTIVE, activated=Now())
        made = Promotion.objects.using(alias()).create(
            kind=kind,
            encoder=encoder,
            before=active,
            reason=reason,
            comparison=comparison or {},
            switched=Now(),
            switched_by=user,
        )
        made.refresh_from_db(fields=["switched"])
        encoder.refresh_from_db()
    versions.queue_review()
    return made


def for_the_record(comparison: dict[str, Any]) -> dict[str, Any]:
    """A comparison without the texts: promotions are kept for ever, texts of people are not."""
    return {name: value for name, value in comparison.items() if name != "changes"}


def previous(active: Encoder | None) -> Encoder:
    """The encoder that ``active`` was put in the place of, to go back to.

    Each going back undoes the last promotion that still holds. So going back twice is two
    steps back and never forth again. VersionError says why there is no way back.
    """
    undone = 0
    for row in Promotion.objects.using(alias()).select_related("before").order_by("-pk"):
        if row.kind == PromotionKind.ROLLED_BACK:
            undone += 1
        elif undone:
            undone -= 1
        elif active is not None and row.encoder_id == active.pk and row.before is not None:
            if row.before.state == EncoderState.READY:
                return row.before
            raise VersionError(
                gettext(
                    "The encoder %(name)s, which was active before %(active)s, is %(state)s: "
                    "there is no way back to it. Promote another one with activate_encoder."
                )
                % {
                    "name": row.before,
                    "active": active,
                    "state": row.before.get_state_display(),
                }
            )
        else:
            break
    raise VersionError(
        gettext("No encoder was active before %(active)s: there is nothing to go back to.")
        % {"active": active or gettext("none")}
    )


def roll_back(*, instead_of: Encoder | None, user: Any = None) -> Promotion:
    """Make the encoder active that was so before, with the classifier that is in force for it.

    Not gated: it has decided before, and its vectors were kept current since. For
    ``instead_of`` and what is raised see ``switch`` and ``previous``; ArtifactError where the
    bytes of its classifier cannot be used.
    """
    target = previous(instead_of)
    if version := versions.in_force(target):
        versions.load(version)
    return switch(target, instead_of=instead_of, kind=PromotionKind.ROLLED_BACK, user=user)
