"""Whether a candidate decides what comes in as well, without effect, to be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marketplace_ai.db.alias import alias
from marketplace_ai.models import Encoder
from marketplace_ai.versions import activation

if TYPE_CHECKING:
    pass


class ShadowError(ValueError):
    """An encoder that cannot decide in the shadow, with the cure."""


def switch(encoder: Encoder, on: bool) -> None:
    """From now on what comes in is decided in the shadow by this candidate, or no longer.

    Raises ShadowError for an encoder that is no candidate, or that has no classifier to decide
    with; then nothing changes.
    """
    if on and activation.in_force(encoder) is None:
        _refuse_others(encoder)
        raise ShadowError(
            f"No classifier is in force for {encoder.name!r}: run manage.py fit_classifier "
            f"--encoder {encoder.name} first."
        )
    candidates = Encoder.objects.using(alias()).candidates()
    if not candidates.filter(pk=encoder.pk).update(is_shadowing=on):
        encoder.refresh_from_db(using=alias(), fields=["state"])
        _refuse_others(encoder)
    encoder.is_shadowing = on


def _refuse_others(encoder: Encoder) -> None:
    """ShadowError for an encoder that is no candidate."""
    why = {
        "active": "is active: what comes in is decided by it, with effect",
        "retired": "is retired: it has no vectors any more",
    }.get(encoder.state)
    if why is not None:
        raise ShadowError(f"{encoder.name!r} {why}.")
