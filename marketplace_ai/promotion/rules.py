"""Which encoder may follow which: what keeps one from becoming active, and the way back.

For pages too: nothing numeric is imported here.
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
    if encoder.last_error and encoder.state == EncoderState.READY:
        return _unloadable(encoder)
    return None


def _unloadable(encoder: Encoder) -> str:
    return gettext(
        "The encoder %(name)s cannot be loaded (%(trouble)s), so nothing could be decided: mend "
        "that first."
    ) % {"name": encoder, "trouble": encoder.last_error}


def _retired(encoder: Encoder) -> str:
    return gettext(
        "The encoder %(name)s is retired and its vectors are gone: register its files again "
        "under another name."
    ) % {"name": encoder}


def lacking(encoder: Encoder) -> str:
    """In words, what an encoder that is being built has yet to encode."""
    has_vector = ExemplarEmbedding.objects.filter(encoder=encoder).values("exemplar_id")
    exemplars = Exemplar.objects.filter(state=ExemplarState.ACTIVE).exclude(pk__in=has_vector)
    walk = TableScan.objects.unfinished().filter(encoder=encoder).order_by("pk").first()
    waiting = QueuedPosting.objects.filter(encoder=encoder)[:LARGEST_COUNT].count()
    parts = [gettext("%(n)s exemplars without a vector") % {"n": exemplars.count()}]
    if walk is not None:
        parts.append(
            gettext("backfill: %(done)s of %(total)s postings queued")
            % {"done": walk.queued_count, "total": walk.total}
        )
    parts.append(gettext("%(n)s postings in the queue") % {"n": waiting})
    return ", ".join(parts)


def for_the_record(comparison: dict[str, Any]) -> dict[str, Any]:
    """A comparison without the texts: promotions are kept for ever, texts of people are not."""
    return {name: value for name, value in comparison.items() if name != "changes"}


def previous(active: Encoder | None) -> Encoder:
    """The encoder that ``active`` was put in the place of, to go back to.

    Each going back undoes the last promotion that still holds. So going back twice is two
    steps back and never forth again. VersionError says why there is no way back.
    """
    undone = 0
    history = Promotion.objects.using(alias()).select_related("previous_encoder").order_by("-pk")
    for row in history.defer("comparison", "previous_encoder__comparison", "previous_encoder__metrics"):
        if row.kind == PromotionKind.ROLLED_BACK:
            undone += 1
        elif undone:
            undone -= 1
        elif active is not None and row.encoder_id == active.pk and row.previous_encoder is not None:
            if row.previous_encoder.last_error:
                raise VersionError(_unloadable(row.previous_encoder))
            if row.previous_encoder.state == EncoderState.READY:
                return row.previous_encoder
            raise VersionError(
                gettext(
                    "The encoder %(name)s, which was active before %(active)s, is %(state)s: "
                    "there is no way back to it. Promote another one with activate_encoder."
                )
                % {
                    "name": row.previous_encoder,
                    "active": active,
                    "state": row.previous_encoder.get_state_display(),
                }
            )
        else:
            break
    raise VersionError(
        gettext("No encoder was active before %(active)s: there is nothing to go back to.")
        % {"active": active or gettext("none")}
    )
