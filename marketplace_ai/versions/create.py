"""Classifiers fitted on the exemplars that vote: compared, stored, put in force, loaded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from marketplace_ai.adapter import get_adapter
from marketplace_ai.classifier import Classifier, LabeledTexts
from marketplace_ai.exemplars import vector_store
from marketplace_ai.models import ClassifierVersion, Encoder, get_category_model
from marketplace_ai.versions import activation, compare_with_active
from marketplace_ai.guarantee.target import DEFAULT_TARGET, Target

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Voting:
    """The exemplars that vote, with their vectors of one encoder, and what goes with them.

    ``taught`` are texts that people labelled, ``ids`` (n,) their keys; ``descriptions`` only
    vote. All as they stood at ``generation``.
    """

    taught: LabeledTexts
    ids: NDArray[np.int64]
    descriptions: LabeledTexts
    described_ids: NDArray[np.int64]
    generation: int


def voting(encoder: Encoder) -> Voting:
    """What votes now; an exemplar without a vector of ``encoder`` does not."""
    found = vector_store.changes(encoder.pk, encoder.dimension, since=-1, removals=0, known=[])
    every = LabeledTexts(found.texts, found.vectors, found.labels)
    ids = np.array(found.ids, dtype=np.int64)
    taught, described = np.flatnonzero(~found.described), np.flatnonzero(found.described)
    return Voting(
        every.take(taught), ids[taught], every.take(described), ids[described], found.generation
    )


def in_common(one: Voting, other: Voting) -> tuple[Voting, Voting]:
    """What votes by both of two encoders, in the same order and with the labels of ``one``: a
    text that came or was relabelled between the two looks is the same for both."""
    taught, its_taught = _shared(one.ids, other.ids)
    described, its_described = _shared(one.described_ids, other.described_ids)

    def part(of: Voting, rows: NDArray[np.intp], descriptions: NDArray[np.intp]) -> Voting:
        return Voting(
            of.taught.take(rows),
            of.ids[rows],
            of.descriptions.take(descriptions),
            of.described_ids[descriptions],
            min(one.generation, other.generation),
        )

    first, second = part(one, taught, described), part(other, its_taught, its_described)
    return first, replace(
        second,
        taught=replace(second.taught, labels=first.taught.labels),
        descriptions=replace(second.descriptions, labels=first.descriptions.labels),
    )


def _shared(
    one: NDArray[np.int64], other: NDArray[np.int64]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where the keys that are in both stand in each; both are in ascending order."""
    _, first, second = np.intersect1d(one, other, assume_unique=True, return_indices=True)
    return first, second


def fit(
    encoder: Encoder,
    calibration: LabeledTexts | None,
    *,
    audited: bool = False,
    target: Target = DEFAULT_TARGET,
    force: bool = False,
    dry_run: bool = False,
) -> ClassifierVersion:
    """Fit on all exemplars that vote now, compare with the version in force for this encoder,
    store the result, and put it in force unless the comparison objects (``force``: whatever it
    says).

    ``calibration``: labelled postings of the stream; without them cross-validation on the
    exemplars stands in. ``audited``: they are the audit sample, not somebody's file.
    ``dry_run`` stores nothing and returns a version without a key. Raises ValueError where
    there is too little, Overtaken where another version was put in force meanwhile, and
    ArtifactError where the stored bytes do not decide as it does; then nothing is stored.
    """
    # Asked first: who goes back to an older version while this fits must not be overruled.
    before = activation.in_force(encoder)
    exemplars = voting(encoder)
    classifier = train(exemplars, calibration, target)
    version = describe(classifier, encoder, exemplars.generation, audited=audited)
    version.comparison = compare_with_active.compare(
        classifier,
        before,
        exemplars.taught,
        exemplars.ids.tolist(),
        calibration,
        exemplars.descriptions,
    )
    if dry_run:
        return version
    activation.keep(version, classifier, exemplars.taught)
    if force or not version.comparison["objections"]:
        activation.put_in_force(version, instead_of=before)
    return version


def train(
    exemplars: Voting, calibration: LabeledTexts | None, target: Target
) -> Classifier:
    """Fit on what votes, and calibrate on labelled postings, or on the exemplars themselves."""
    return Classifier.fit(
        exemplars.taught,
        calibration,
        descriptions=exemplars.descriptions,
        target=target,
        parents=parents(),
    )


def describe(
    classifier: Classifier, encoder: Encoder, generation: int, *, audited: bool
) -> ClassifierVersion:
    """The version that a fitted classifier is to be stored as, with what it promises."""
    figures = _figures(classifier)
    if audited:
        figures["calibrated_on"] = ClassifierVersion.Calibration.AUDITS.value
    return ClassifierVersion(
        encoder=encoder,
        artifact=classifier.to_bytes(),
        target_precision=figures["target_precision"],
        confidence=figures["confidence_level"],
        calibrated_on=figures["calibrated_on"],
        figures=figures,
        exemplar_generation=generation,
    )


def _figures(classifier: Classifier) -> dict[str, Any]:
    """What was promised, each category with the key and name that people know it by."""
    figures = classifier.guarantee.as_dict()
    names = names_of(row["label"] for row in figures["categories"])
    for row in figures["categories"]:
        row["key"], row["name"] = names[row["label"]]
    return figures


def names_of(labels: Iterable[str]) -> dict[str, tuple[str, str]]:
    """The key and the name that people know each category by, of the classifier's labels; the
    label itself for one that was deleted."""
    adapter = get_adapter()
    model = get_category_model()
    assert model._meta.pk is not None  # noqa: S101 (every model has one)
    keys = {label: model._meta.pk.to_python(label) for label in labels}
    found: dict[Any, Any] = model._base_manager.in_bulk([*keys.values()])
    known = {label: found.get(key) for label, key in keys.items()}
    return {
        label: (label, label)
        if category is None
        else (str(adapter.category_key(category)), adapter.category_name(category))
        for label, category in known.items()
    }


def parents() -> dict[str, str | None]:
    """Each category's parent, as the classifier's labels."""
    field = get_adapter().category_parent_field
    if field is None:
        return {}
    rows: Any = get_category_model()._base_manager.values_list("pk", field)
    return {str(pk): None if parent is None else str(parent) for pk, parent in rows}
