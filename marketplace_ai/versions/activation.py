"""Stored classifier versions: save, load, activate, and which one is active."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from django.db import connections, transaction
from django.db.models import Exists, OuterRef, Subquery
from django.db.models.functions import Greatest, Now
from django.utils.translation import gettext

from marketplace_ai.adapter import get_adapter
from marketplace_ai.classifier import ArtifactError, Classifier
from marketplace_ai.db import advisory_locks
from marketplace_ai.db.alias import alias
from marketplace_ai.models import ClassifierVersion, Decision, Encoder, EncoderState, Outcome
from marketplace_ai.queue import backfill

from .errors import ActivationConflictError as ActivationConflictError
from .errors import VersionError as VersionError

if TYPE_CHECKING:
    from marketplace_ai.classifier import LabeledTexts, Prediction

#: Versions of an encoder that keep their artifact (some megabytes each): those fitted or active
#: last. Older rows stay without it, because decisions refer to them.
MAX_STORED_ARTIFACTS = 10
#: No write of a batch takes longer.
LONGEST_WRITE = dt.timedelta(minutes=1)
#: Rows that the stored bytes must decide exactly as the fitted classifier does.
VERIFIED_ROWS = 32


# One query for everything that a worker keeps in memory. It runs before every batch.
ACTIVE_STATE = """
SELECT encoder.id, encoder.registered_at, version.id, version.created_at, generation.value
FROM (SELECT) AS always
LEFT JOIN marketplace_ai_encoder AS encoder ON encoder.state = %(active)s
LEFT JOIN marketplace_ai_classifierversion AS version
       ON version.encoder_id = encoder.id AND version.is_active
LEFT JOIN marketplace_ai_exemplargeneration AS generation ON true
"""


class ActiveState(NamedTuple):
    """What workers keep in memory; two equal states mean that nothing has changed.

    Keys come with the time of their row: in a database that was restored to an older state, the
    same key may be given to another row.
    """

    encoder: int | None
    encoder_registered: dt.datetime | None
    version: int | None
    version_created: dt.datetime | None
    exemplar_generation: int | None


def active_state() -> ActiveState:
    """The active encoder and version, and the generation of the exemplars; one query."""
    with connections[alias()].cursor() as cursor:
        cursor.execute(ACTIVE_STATE, {"active": EncoderState.ACTIVE})
        return ActiveState(*cursor.fetchone())


class VersionKey(NamedTuple):
    """What a version is recognized by, even after a restore: see ``ActiveState``."""

    version: int
    created: dt.datetime


def active_version_id(encoder: Encoder) -> int | None:
    """Primary key of the version that is active for an encoder."""
    return ClassifierVersion.objects.active_id(encoder)


def active_version_key(encoder: Encoder) -> VersionKey | None:
    """What the version that is active for an encoder is recognized by."""
    version = ClassifierVersion.objects.active(encoder)
    return None if version is None else VersionKey(version.pk, version.created_at)


def load(version: int) -> Classifier:
    """A stored classifier; ArtifactError (a ValueError) where its bytes cannot be used."""
    artifact, discarded, dimension = (
        ClassifierVersion.objects.using(alias())
        .values_list("artifact", "is_discarded", "encoder__dimension")
        .get(pk=version)
    )
    if discarded:
        raise ArtifactError(
            f"only the last {MAX_STORED_ARTIFACTS} versions are kept, and this is an older one: "
            "fit again"
        )
    classifier = Classifier.from_bytes(bytes(artifact))
    if classifier.dimension != dimension:
        raise ArtifactError(
            f"it has {classifier.dimension} dimensions and its encoder {dimension}: fit it again"
        )
    return classifier


def save(version: ClassifierVersion, classifier: Classifier, exemplars: LabeledTexts) -> None:
    """Store a version without activating it, and verify the stored bytes.

    Raises ArtifactError, and stores nothing, where the classifier that is read back decides some of
    the exemplars differently from ``classifier``.
    """
    with transaction.atomic(using=alias()):
        version.save(using=alias())
        stored = load(version.pk)
        step = max(1, len(exemplars) // VERIFIED_ROWS)
        sample = exemplars.take(np.arange(0, len(exemplars), step))
        if _decide(stored, sample) != _decide(classifier, sample):
            raise ArtifactError("the stored bytes do not decide as what was fitted: fit it again")
        _discard_old_artifacts(version.encoder)


def _decide(classifier: Classifier, rows: LabeledTexts) -> list[Prediction]:
    """What it decides about rows that are its exemplars at the same time."""
    index = classifier.new_index()
    index.update(range(len(rows)), rows.texts, rows.labels, rows.vectors)
    return classifier.predict(index, rows.vectors, rows.texts)


#: For ``expected``: it does not matter which version is active.
ANY_VERSION: Any = object()


def activate(version_id: int, *, expected: int | None = ANY_VERSION) -> int | None:
    """Make a stored version of the active encoder the active one, and requeue what is in review.

    Args:
        version_id: primary key of the version.
        expected: the version that the person saw as active.

    Returns:
        The version that was active before; ``version_id`` itself if it was active already.

    Raises:
        VersionError: it does not exist or belongs to another encoder.
        ActivationConflictError: another version than ``expected`` is active.
        ArtifactError: its bytes are damaged or were deleted.

    Nothing is changed in case of an error. Example: ``activate(12, expected=13)``.
    """
    version = (
        ClassifierVersion.objects.using(alias()).defer("artifact").filter(pk=version_id).first()
    )
    if version is None:
        raise VersionError(gettext("There is no version %(n)s.") % {"n": version_id})
    active = Encoder.objects.active()
    if active is None or version.encoder_id != active.pk:
        raise VersionError(
            gettext("Version %(n)s was fitted for the encoder %(its)s, and %(active)s is active.")
            % {"n": version_id, "its": version.encoder, "active": active or gettext("none")}
        )
    load(version.pk)
    before = set_active(version, expected=expected)
    if before != version.pk:
        requeue_reviews()
    return before


def set_active(version: ClassifierVersion, *, expected: int | None = ANY_VERSION) -> int | None:
    """Make a stored version the active one of its encoder, in one transaction.

    Returns the version that was active before. Raises ActivationConflictError, and changes nothing,
    where another one than ``expected`` is active.
    """
    with transaction.atomic(using=alias()):
        # Not a row lock: decisions, which refer to the row, would wait for that.
        with connections[alias()].cursor() as cursor:
            advisory_locks.lock(cursor, advisory_locks.ACTIVATION)
        before = active_version_id(version.encoder)
        if expected is not ANY_VERSION and before != expected:
            raise ActivationConflictError(
                gettext("Version %(n)s was activated meanwhile, so version %(own)s was not.")
                % {"n": before, "own": version.pk}
            )
        if before != version.pk:
            versions = ClassifierVersion.objects.using(alias())
            versions.filter(encoder=version.encoder_id, is_active=True).update(
                is_active=False, replaced_at=Now()
            )
            versions.filter(pk=version.pk).update(is_active=True, activated_at=Now())
            _discard_old_artifacts(version.encoder)
        version.refresh_from_db(fields=["is_active", "activated_at", "replaced_at"])
    return before


def requeue_reviews() -> int:
    """Queue the postings that wait for review, since a new classifier may decide them; how many."""
    in_review = Decision.objects.filter(
        posting_id=OuterRef("pk"), is_current=True, outcome=Outcome.REVIEW, is_answered=False
    )
    return backfill.queue_all(get_adapter().jobs().filter(Exists(in_review)))


def requeue_late_reviews(version: int) -> int:
    """Queue the postings that another version has sent to review since this one decides, by
    workers that were still loading it; how many."""
    # A decision has the time at which its transaction began.
    since = Greatest("activated_at", "encoder__activated_at") - LONGEST_WRITE
    decides = ClassifierVersion.objects.using(alias()).filter(pk=version).annotate(since=since)
    late = Decision.objects.filter(
        posting_id=OuterRef("pk"), is_current=True, outcome=Outcome.REVIEW, is_answered=False,
        decided_at__gte=Subquery(decides.values("since")),
    ).exclude(classifier=version)  # fmt: skip
    return backfill.queue_all(get_adapter().jobs().filter(Exists(late)))


def _discard_old_artifacts(encoder: Encoder) -> None:
    """Delete the artifacts of all but the last versions; the active one always keeps its own."""
    stored = ClassifierVersion.objects.using(alias()).filter(encoder=encoder, is_discarded=False)
    last_used = Greatest("created_at", "activated_at", "replaced_at")
    newest = stored.order_by("-is_active", last_used.desc(), "-pk")
    kept = list(newest.values_list("pk", flat=True)[:MAX_STORED_ARTIFACTS])
    stored.exclude(pk__in=kept).update(artifact=b"", is_discarded=True)
