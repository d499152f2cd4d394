"""Classifiers fitted on the exemplars that vote: compared, stored, put in force, loaded."""

from __future__ import annotations

from typing import Any

import numpy as np

from marketplace_ai.adapter import get_adapter
from marketplace_ai.deciding import Classifier, Labelled
from marketplace_ai.lifecycle import comparing, versions
from marketplace_ai.models import (
    ClassifierVersion,
    Encoder,
    get_category_model,
)
from marketplace_ai.neighbors import store


def fit(
    encoder: Encoder,
    calibration: Labelled | None,
    *,
    audited: bool = False,
    target_precision: float = 0.97,
    confidence: float = 0.95,
    force: bool = False,
    dry_run: bool = False,
) -> ClassifierVersion:
    """Fit on all exemplars that vote now, compare with the version in force, store the result,
    and put it in force unless the comparison objects (``force``: whatever it says).

    ``calibration``: labelled postings of the stream; without them cross-validation on the
    exemplars stands in. ``audited``: they are the audit sample, not somebody's file.
    ``dry_run`` stores nothing and returns a version without a key. Raises ValueError where
    there is too little, Overtaken where another version was put in force meanwhile, and
    ArtifactError where the stored bytes do not decide as it does; then nothing is stored.
    """
    # Asked first: who goes back to an older version while this fits must not be overruled.
    before = versions.in_force(encoder)
    exemplars = store.changes(encoder.pk, encoder.dimension, since=-1, removals=0, known=[])
    voting = Labelled(exemplars.texts, exemplars.vectors, exemplars.labels)
    taught, described = np.flatnonzero(~exemplars.described), np.flatnonzero(exemplars.described)
    labelled = voting.take(taught)
    descriptions = voting.take(described)
    classifier = Classifier.fit(
        labelled,
        calibration,
        descriptions=descriptions,
        target_precision=target_precision,
        confidence=confidence,
        parents=parents(),
    )
    figures = _figures(classifier)
    if audited:
        figures["calibrated_on"] = ClassifierVersion.Calibration.AUDITS.value
    ids = [exemplars.ids[row] for row in taught]
    comparison = comparing.compare(classifier, before, labelled, ids, calibration, descriptions)
    version = ClassifierVersion(
        encoder=encoder,
        artifact=classifier.to_bytes(),
        target_precision=target_precision,
        confidence=confidence,
        calibrated_on=figures["calibrated_on"],
        figures=figures,
        comparison=comparison,
        exemplar_generation=exemplars.generation,
    )
    if dry_run:
        return version
    versions.keep(version, classifier, labelled)
    if force or not comparison["objections"]:
        versions.put_in_force(version, instead_of=before)
    return version


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
