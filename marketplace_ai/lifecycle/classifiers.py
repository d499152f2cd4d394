"""Classifier versions: fitted on the exemplars in force, stored, put in force at once."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef

from marketplace_ai.adapter import get_adapter
from marketplace_ai.deciding import Classifier, Labelled
from marketplace_ai.models import (
    ClassifierVersion,
    Decision,
    Encoder,
    Exemplar,
    ExemplarState,
    Outcome,
    get_category_model,
)
from marketplace_ai.neighbors import store
from marketplace_ai.queue import backfill
from marketplace_ai.queue.sql import alias


def in_force(encoder: Encoder) -> int | None:
    """Primary key of the version that decides with this encoder."""
    return (
        ClassifierVersion.objects.using(alias())
        .filter(encoder=encoder, in_force=True)
        .values_list("pk", flat=True)
        .first()
    )


def load(version: int) -> Classifier:
    """A stored classifier; ValueError where its bytes are damaged."""
    stored = (
        ClassifierVersion.objects.using(alias()).values_list("artifact", flat=True).get(pk=version)
    )
    return Classifier.from_bytes(bytes(stored))


def fit(
    encoder: Encoder,
    calibration: Labelled | None,
    *,
    audited: bool = False,
    target_precision: float = 0.97,
    confidence: float = 0.95,
) -> ClassifierVersion:
    """Fit on all exemplars that vote now and put the result in force.

    ``calibration``: labelled postings of the stream; without them cross-validation on the
    exemplars stands in. ``audited``: they are the audit sample, not somebody's file. Raises
    ValueError where there is too little.
    """
    exemplars = store.changes(encoder.pk, encoder.dimension, since=-1, removals=0, known=[])
    classifier = Classifier.fit(
        Labelled(exemplars.texts, exemplars.vectors, exemplars.labels),
        calibration,
        target_precision=target_precision,
        confidence=confidence,
        parents=parents(),
    )
    figures = _figures(classifier)
    if audited:
        figures["calibrated_on"] = ClassifierVersion.Calibration.AUDITS.value
    with transaction.atomic(using=alias()):
        ClassifierVersion.objects.filter(encoder=encoder, in_force=True).update(in_force=False)
        return ClassifierVersion.objects.create(
            encoder=encoder,
            artifact=classifier.to_bytes(),
            target_precision=target_precision,
            confidence=confidence,
            calibrated_on=figures["calibrated_on"],
            figures=figures,
            exemplar_generation=exemplars.generation,
            in_force=True,
        )


def _figures(classifier: Classifier) -> dict[str, Any]:
    """What was promised, each category with the key and name that people know it by."""
    adapter = get_adapter()
    figures = classifier.promise.as_dict()
    model = get_category_model()
    assert model._meta.pk is not None  # noqa: S101 (every model has one)
    keys = [model._meta.pk.to_python(row["label"]) for row in figures["categories"]]
    categories: dict[Any, Any] = model._base_manager.in_bulk(keys)
    for key, row in zip(keys, figures["categories"], strict=True):
        category = categories.get(key)
        row["key"] = adapter.category_key(category) if category is not None else row["label"]
        row["name"] = adapter.category_name(category) if category is not None else row["label"]
    return figures


def parents() -> dict[str, str | None]:
    """Each category's parent, as the classifier's labels."""
    field = get_adapter().category_parent_field
    if field is None:
        return {}
    rows: Any = get_category_model()._base_manager.values_list("pk", field)
    return {str(pk): None if parent is None else str(parent) for pk, parent in rows}


def queue_review() -> int:
    """Queue what waits for a person: a new classifier may need none. How many were queued."""
    waiting = Decision.objects.filter(
        job_id=OuterRef("pk"), current=True, outcome=Outcome.REVIEW, answered=False
    )
    return backfill.run(get_adapter().jobs().filter(Exists(waiting)))


def quarantine(exemplar_id: int) -> None:
    """Take an exemplar out of the vote; a person can put it back."""
    Exemplar.objects.filter(pk=exemplar_id).update(state=ExemplarState.QUARANTINED)
