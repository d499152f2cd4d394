"""Eligibility for promotion: which encoder can become active, and which one a rollback goes to.

Admin imports this module, so it imports no numeric library.
"""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext

from marketplace_ai.db.alias import alias
from marketplace_ai.models import (
    Encoder,
    EncoderState,
    Exemplar,
    ExemplarEmbedding,
    ExemplarState,
    Promotion,
    PromotionKind,
    QueuedPosting,
    TableScan,
)
from marketplace_ai.versions.errors import VersionError

#: At most so many queued postings are counted.
MAX_COUNTED_ROWS = 10_000


def find_encoder(name: str) -> Encoder:
    """The registered encoder of that name; VersionError if it is unknown or retired."""
    encoder = Encoder.objects.using(alias()).filter(name=name).first()
    if encoder is None:
        registered = Encoder.objects.exclude(state=EncoderState.RETIRED).order_by("pk")
        names = ", ".join(registered.values_list("name", flat=True)) or gettext("none")
        raise VersionError(
            gettext("There is no encoder %(name)s. Registered are: %(names)s.")
            % {"name": name, "names": names}
        )
    if encoder.state == EncoderState.RETIRED:
        raise VersionError(_retired_message(encoder))
    return encoder


def activation_blocker(encoder: Encoder) -> str | None:
    """Why an encoder cannot become the active one; None where it can (or already is)."""
    if encoder.state == EncoderState.RETIRED:
        return _retired_message(encoder)
    if encoder.state == EncoderState.BUILDING:
        return gettext(
            "The encoder %(name)s is still being built (%(lacking)s). It becomes ready by itself "
            "while workers run."
        ) % {"name": encoder, "lacking": build_progress(encoder)}
    if encoder.last_error and encoder.state == EncoderState.READY:
        return _unloadable_message(encoder)
    return None


def _unloadable_message(encoder: Encoder) -> str:
    return gettext(
        "The encoder %(name)s cannot be loaded (%(trouble)s), so nothing could be decided: fix "
        "that first."
    ) % {"name": encoder, "trouble": encoder.last_error}


def _retired_message(encoder: Encoder) -> str:
    return gettext(
        "The encoder %(name)s is retired and its vectors are gone: register its files again "
        "under another name."
    ) % {"name": encoder}


def build_progress(encoder: Encoder) -> str:
    """What a building encoder has yet to encode, in words."""
    has_vector = ExemplarEmbedding.objects.filter(encoder=encoder).values("exemplar_id")
    exemplars = Exemplar.objects.filter(state=ExemplarState.ACTIVE).exclude(pk__in=has_vector)
    scan = TableScan.objects.unfinished().filter(encoder=encoder).order_by("pk").first()
    queued = QueuedPosting.objects.filter(encoder=encoder)[:MAX_COUNTED_ROWS].count()
    parts = [gettext("%(n)s exemplars without a vector") % {"n": exemplars.count()}]
    if scan is not None:
        parts.append(
            gettext("backfill: %(done)s of %(total)s postings queued")
            % {"done": scan.queued_count, "total": scan.total}
        )
    parts.append(gettext("%(n)s postings in the queue") % {"n": queued})
    return ", ".join(parts)


def without_texts(comparison: dict[str, Any]) -> dict[str, Any]:
    """A stored comparison report without the texts of people: promotions are kept forever."""
    return {name: value for name, value in comparison.items() if name != "changes"}


def previous_encoder(active: Encoder | None) -> Encoder:
    """The encoder that ``active`` replaced, to roll back to; VersionError where there is none.

    Each rollback undoes the last promotion that still holds, so two rollbacks are two steps back.
    """
    previous = _replaced_by(active)
    if active is None or previous is None:
        raise VersionError(
            gettext("No encoder was active before %(active)s: there is nothing to go back to.")
            % {"active": active or gettext("none")}
        )
    if previous.last_error:
        raise VersionError(_unloadable_message(previous))
    if previous.state != EncoderState.READY:
        raise VersionError(
            gettext(
                "The encoder %(name)s, which was active before %(active)s, is %(state)s: "
                "there is no way back to it. Promote another one with activate_encoder."
            )
            % {"name": previous, "active": active, "state": previous.get_state_display()}
        )
    return previous


def _replaced_by(active: Encoder | None) -> Encoder | None:
    """The encoder that the last promotion which still holds replaced by ``active``."""
    rollbacks = 0
    history = Promotion.objects.using(alias()).select_related("previous_encoder").order_by("-pk")
    for promotion in history.defer(
        "comparison", "previous_encoder__comparison", "previous_encoder__metrics"
    ):
        if promotion.kind == PromotionKind.ROLLED_BACK:
            rollbacks += 1
        elif rollbacks:
            rollbacks -= 1
        elif active is not None and promotion.encoder_id == active.pk:
            return promotion.previous_encoder
        else:
            break
    return None
