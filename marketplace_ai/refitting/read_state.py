"""Read from the database what the rules of ``due`` are about; every count is bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils import timezone

from marketplace_ai.audit.evidence import audit_state
from marketplace_ai.db.alias import alias
from marketplace_ai.guarantee.basis import BasisKind
from marketplace_ai.guarantee.target import DEFAULT_TARGET, Target
from marketplace_ai.models import (
    ClassifierVersion,
    Encoder,
    Exemplar,
    ExemplarSource,
    ExemplarState,
)

from . import log
from .due import MOST_COUNTED, Due, State, find_due

if TYPE_CHECKING:
    import datetime as dt

    from django.db.models import QuerySet

    from marketplace_ai.models import Refit


def read_due(*, has_file: bool = False, now: dt.datetime | None = None) -> Due:
    """Whether a refit of the active encoder's classifier is due.

    ``has_file``: it would be given a file of labeled postings. ``now`` is the present time unless
    given. Example: ``read_due().is_due``.
    """
    from .decision_sample import find_drift  # SciPy: not for a process that only imports this

    now = now or timezone.now()
    encoder = Encoder.objects.active()
    version = _active(encoder)
    concluded = log.latest_concluded(encoder)
    last = log.latest(encoder)
    voting = Exemplar.objects.using(alias()).filter(state=ExemplarState.ACTIVE)
    labels = voting.exclude(source=ExemplarSource.DESCRIPTION)
    was_tried = log.left_active(concluded, version)
    state = State(
        labels=labels.count(),
        new_labels=_count_new(labels, version, concluded if was_tried else None),
        described=voting.filter(source=ExemplarSource.DESCRIPTION).exists(),
        basis=None if version is None else BasisKind(version.calibrated_on),
        audit_suffices=audit_state(target_of(version), version).suffices,
        was_tried=was_tried,
        since_last=None if last is None else now - last.started_at,
        drift=None if version is None else find_drift(version, now),
        has_file=has_file,
    )
    return find_due(state)


def active_version() -> ClassifierVersion | None:
    """The active version of the active encoder, with that encoder and without its artifact."""
    return _active(Encoder.objects.active())


def _active(encoder: Encoder | None) -> ClassifierVersion | None:
    version = ClassifierVersion.objects.active(encoder)
    if version is not None and encoder is not None:
        version.encoder = encoder  # no query for it
    return version


def target_of(version: ClassifierVersion | None) -> Target:
    """The target that a refit keeps: that of the active version."""
    if version is None:
        return DEFAULT_TARGET
    return Target(version.target_precision, version.confidence_level)


def _count_new(
    labels: QuerySet[Exemplar], version: ClassifierVersion | None, tried: Refit | None
) -> int:
    """Labels that came or changed since the version was fitted, or since the refit that tried to
    replace it. All of them, without a version."""
    since = 0 if version is None else version.exemplar_generation
    if tried is not None and tried.exemplar_generation is not None:
        since = max(since, tried.exemplar_generation)
    if since:
        labels = labels.filter(generation__gt=since)
    return labels.order_by()[:MOST_COUNTED].count()
