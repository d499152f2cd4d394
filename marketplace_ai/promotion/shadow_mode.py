"""Shadow mode: a candidate encoder predicts for new postings, without effect."""

from __future__ import annotations

from marketplace_ai.db.alias import alias
from marketplace_ai.models import Encoder
from marketplace_ai.versions import activation


class ShadowError(ValueError):
    """An encoder that cannot run in shadow mode, with the remedy."""


def set_shadow_mode(encoder: Encoder, on: bool) -> None:
    """Switch shadow mode on or off for a candidate.

    Raises ShadowError, and changes nothing, for an encoder that is no candidate or that has no
    active classifier version.
    """
    if on and activation.active_version_id(encoder) is None:
        _reject_other_states(encoder)
        raise ShadowError(
            f"No classifier is active for {encoder.name!r}: run manage.py fit_classifier "
            f"--encoder {encoder.name} first."
        )
    candidates = Encoder.objects.using(alias()).candidates()
    if not candidates.filter(pk=encoder.pk).update(is_shadowing=on):
        encoder.refresh_from_db(using=alias(), fields=["state"])
        _reject_other_states(encoder)
    encoder.is_shadowing = on


def _reject_other_states(encoder: Encoder) -> None:
    """ShadowError for an encoder that is no candidate."""
    reason = {
        "active": "is active: it decides about new postings, with effect",
        "retired": "is retired: it has no vectors any more",
    }.get(encoder.state)
    if reason is not None:
        raise ShadowError(f"{encoder.name!r} {reason}.")
