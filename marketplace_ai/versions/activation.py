"""Stored classifier versions: which one is in force, how one takes another's place, what stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from django.db import connections, transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Greatest, Now
from django.utils.translation import gettext

from marketplace_ai.adapter import get_adapter
from marketplace_ai.classifier import ArtifactError, Classifier
from marketplace_ai.models import ClassifierVersion, Decision, Encoder, EncoderState, Outcome
from marketplace_ai.queue import backfill
from marketplace_ai.queue.sql import alias

from .errors import Overtaken as Overtaken
from .errors import VersionError as VersionError

if TYPE_CHECKING:
    from marketplace_ai.classifier import LabeledTexts, Prediction

#: Versions of an encoder whose artifact is kept, of some megabytes each: those that were fitted
#: or in force last. Of older ones the row stays, for decisions name it.
KEPT = 10
#: Rows on which the stored bytes must decide as the fitted classifier does.
CHECKED = 32
#: Transaction-level advisory lock: two that put a version in force do so one after the other.
SWITCH_LOCK = 0x6D414933


# One look at all that a worker keeps resident. It is asked before every batch.
STANDING = """
SELECT encoder.id,
       (SELECT id FROM marketplace_ai_classifierversion AS version
        WHERE version.encoder_id = encoder.id AND version.in_force),
       generation.value, generation.removals
FROM (SELECT) AS always
LEFT JOIN marketplace_ai_encoder AS encoder ON encoder.state = %(active)s
LEFT JOIN marketplace_ai_exemplargeneration AS generation ON true
"""

#: Encoder, classifier version, changes and removals of exemplars: equal where nothing is new.
Standing = tuple[int | None, int | None, int | None, int | None]


def standing() -> Standing:
    """What is in force now; one query."""
    with connections[alias()].cursor() as cursor:
        cursor.execute(STANDING, {"active": EncoderState.ACTIVE})
        encoder, version, value, removals = cursor.fetchone()
    return encoder, version, value, removals


def in_force(encoder: Encoder) -> int | None:
    """Primary key of the version that decides with this encoder."""
    return (
        ClassifierVersion.objects.using(alias())
        .filter(encoder=encoder, in_force=True)
        .values_list("pk", flat=True)
        .first()
    )


def load(version: int) -> Classifier:
    """A stored classifier; ArtifactError (a ValueError) where its bytes cannot be used."""
    stored, discarded, dimension = (
        ClassifierVersion.objects.using(alias())
        .values_list("artifact", "discarded", "encoder__dimension")
        .get(pk=version)
    )
    if discarded:
        raise ArtifactError(
            f"only the last {KEPT} versions are kept, and this is an older one: fit again"
        )
    classifier = Classifier.from_bytes(bytes(stored))
    if classifier.dimension != dimension:
        raise ArtifactError(
            f"it has {classifier.dimension} dimensions and its encoder {dimension}: fit it again"
        )
    return classifier


def keep(version: ClassifierVersion, classifier: Classifier, exemplars: LabeledTexts) -> None:
    """Store a version, not in force; ArtifactError, and nothing stored, where the bytes that
    come back do not decide some of the exemplars exactly as ``classifier`` does."""
    with transaction.atomic(using=alias()):
        version.save(using=alias())
        stored = load(version.pk)
        some = exemplars.take(np.arange(0, len(exemplars), max(1, len(exemplars) // CHECKED)))
        if _decide(stored, some) != _decide(classifier, some):
            raise ArtifactError("the stored bytes do not decide as what was fitted: fit it again")
        _discard(version.encoder)


def _decide(classifier: Classifier, rows: LabeledTexts) -> list[Prediction]:
    """Its verdicts on rows that are the exemplars, too."""
    index = classifier.new_index()
    index.update(range(len(rows)), rows.texts, rows.labels, rows.vectors)
    return classifier.predict(index, rows.vectors, rows.texts)


#: For ``instead_of``: whichever version is in force.
ANY: Any = object()


def use(version_id: int, *, instead_of: int | None = ANY) -> int | None:
    """Put a stored version of the active encoder in force, and have what waits for review
    decided anew; the version whose place it took (itself, where it was in force already).

    ``instead_of``: the version that the person saw in force; Overtaken where it is not any
    more. Raises VersionError for a version that does not exist or is another encoder's, and
    ArtifactError for bytes that are damaged or were deleted; then nothing changes.
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
    before = put_in_force(version, instead_of=instead_of)
    if before != version.pk:
        queue_review()
    return before


def put_in_force(version: ClassifierVersion, *, instead_of: int | None = ANY) -> int | None:
    """Make a stored version decide, in one transaction; the one whose place it took.

    Raises Overtaken, and changes nothing, where another one than ``instead_of`` is in force.
    """
    with transaction.atomic(using=alias()):
        # One at a time; a lock on a row would be waited for by the decisions that refer to it.
        with connections[alias()].cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [SWITCH_LOCK])
        before = in_force(version.encoder)
        if instead_of is not ANY and before != instead_of:
            raise Overtaken(
                gettext("Version %(n)s was put in force meanwhile, so version %(own)s was not.")
                % {"n": before, "own": version.pk}
            )
        if before != version.pk:
            versions = ClassifierVersion.objects.using(alias())
            versions.filter(encoder=version.encoder_id, in_force=True).update(
                in_force=False, replaced=Now()
            )
            versions.filter(pk=version.pk).update(in_force=True, activated=Now())
            _discard(version.encoder)
        version.refresh_from_db(fields=["in_force", "activated", "replaced"])
    return before


def queue_review() -> int:
    """Queue what waits for a person: a new classifier may need none. How many were queued."""
    waiting = Decision.objects.filter(
        job_id=OuterRef("pk"), current=True, outcome=Outcome.REVIEW, answered=False
    )
    return backfill.run(get_adapter().jobs().filter(Exists(waiting)))


def _discard(encoder: Encoder) -> None:
    """Delete the artifacts of all but the last versions; the one in force stays anyway."""
    stored = ClassifierVersion.objects.using(alias()).filter(encoder=encoder, discarded=False)
    last = Greatest("created", "activated", "replaced")
    newest = stored.order_by("-in_force", last.desc(), "-pk").values_list("pk", flat=True)[:KEPT]
    stored.exclude(pk__in=list(newest)).update(artifact=b"", discarded=True)
