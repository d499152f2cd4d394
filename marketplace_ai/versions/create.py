"""Create classifier versions: fit on the exemplars, compare, save, and activate."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from django.db import transaction

from marketplace_ai.adapter import get_adapter
from marketplace_ai.classifier import Classifier
from marketplace_ai.classifier.basis import find_basis
from marketplace_ai.db.alias import alias
from marketplace_ai.exemplars.condensed import set_condensed
from marketplace_ai.guarantee.basis import BasisKind
from marketplace_ai.guarantee.target import DEFAULT_TARGET, Target
from marketplace_ai.models import ClassifierVersion, Encoder, get_category_model
from marketplace_ai.text.family_sizes import FamilySizes
from marketplace_ai.versions import activation, compare_with_active

from .exemplar_set import ExemplarSet, load_exemplars

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from numpy.typing import NDArray

    from marketplace_ai.classifier import LabeledTexts


class CondensedIds(NamedTuple):
    """Exemplars that shall not vote, and the exemplars' generation when they were chosen."""

    ids: Collection[int]
    generation: int


def fit_version(
    encoder: Encoder,
    calibration: LabeledTexts | None,
    *,
    audited: bool = False,
    target: Target = DEFAULT_TARGET,
    force: bool = False,
    dry_run: bool = False,
    activate: bool = True,
    condensed: CondensedIds | None = None,
) -> ClassifierVersion:
    """Fit a classifier for an encoder, compare it with the active version, save and activate it.

    Args:
        encoder: the encoder; all exemplars that have a vector of it are used.
        calibration: labeled postings; None: cross-validation on the exemplars.
        audited: the labeled postings are the audit sample, not a file.
        target: the precision and the confidence level asked for.
        force: activate it even if it fails a check of the comparison.
        dry_run: store nothing; the version that is returned has no key.
        activate: False stores it, compared, and leaves the active version.
        condensed: the exemplars that shall not vote from this version on, which are marked so if
            it is activated; None: those that do not vote already.

    Raises:
        ValueError: there are too few exemplars.
        ActivationConflictError: another version was activated meanwhile; this one is stored.
        ArtifactError: the stored bytes do not decide as the classifier does; nothing is stored.
    """
    # Read before fitting, so that somebody who goes back to an older version while this fits is not
    # overruled.
    active = activation.active_version_id(encoder)
    exemplars = load_exemplars(encoder)
    votes = exemplars.votes()
    if condensed is not None:
        votes = ~np.isin(exemplars.train_ids, list(condensed.ids))
    classifier = train_classifier(exemplars, calibration, target, votes)
    report = compare_with_active.compare(classifier, active, exemplars, calibration)
    version = build_version(classifier, encoder, exemplars.generation, audited=audited)
    version.comparison = report.as_dict()
    if dry_run:
        return version
    activation.save(version, classifier, exemplars.train)
    if activate and (force or not report.failed_checks):
        # Together: no version decides with other votes than it was fitted with.
        with transaction.atomic(using=alias()):
            if condensed is not None:
                _condense(version, condensed)
            activation.set_active(version, expected=active)
    return version


def _condense(version: ClassifierVersion, condensed: CondensedIds) -> None:
    before, after = set_condensed(condensed.ids, version.pk, condensed.generation)
    if before == version.exemplar_generation:
        # Nothing else has changed since the fit: these are no new exemplars for it.
        version.exemplar_generation = after
        version.save(update_fields=["exemplar_generation"], using=alias())


def train_classifier(
    exemplars: ExemplarSet,
    calibration: LabeledTexts | None,
    target: Target,
    votes: NDArray[np.bool_] | None = None,
) -> Classifier:
    """Fit on exemplars, and calibrate on labeled postings or on the exemplars themselves.

    ``votes`` bool (n,): those that vote (None: those that are not condensed).
    """
    return Classifier.fit(
        exemplars.train,
        calibration,
        descriptions=exemplars.descriptions,
        target=target,
        parents=category_parents(),
        counted=exemplars.counted,
        votes=exemplars.votes() if votes is None else votes,
    )


def build_version(
    classifier: Classifier, encoder: Encoder, generation: int, *, audited: bool
) -> ClassifierVersion:
    """The unsaved row of a fitted classifier, with its figures."""
    figures = _figures(classifier)
    source = BasisKind.AUDIT if audited else BasisKind(classifier.calibrated_on)
    figures["calibrated_on"] = source.value
    figures["basis"] = find_basis(classifier, source).as_dict()
    return ClassifierVersion(
        encoder=encoder,
        artifact=classifier.to_bytes(),
        target_precision=figures["target_precision"],
        confidence_level=figures["confidence_level"],
        calibrated_on=figures["calibrated_on"],
        figures=figures,
        exemplar_generation=generation,
    )


def _figures(classifier: Classifier) -> dict[str, Any]:
    """The figures of its guarantee, the families of the labeled rows, and each category's key and
    name."""
    figures = classifier.guarantee.as_dict()
    if classifier.out_of_fold is not None:
        figures["family_sizes"] = asdict(FamilySizes.count(classifier.out_of_fold.groups.tolist()))
    names = category_names(row["label"] for row in figures["categories"])
    for row in figures["categories"]:
        row["key"], row["name"] = names[row["label"]]
    return figures


def category_names(labels: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Key and name of the category behind each label of a classifier; the label itself, twice, for
    a category that was deleted."""
    adapter = get_adapter()
    model = get_category_model()
    assert model._meta.pk is not None  # noqa: S101 (every model has one)
    keys = {label: model._meta.pk.to_python(label) for label in labels}
    rows: dict[Any, Any] = model._base_manager.in_bulk([*keys.values()])
    categories = {label: rows.get(key) for label, key in keys.items()}
    return {
        label: (label, label)
        if category is None
        else (str(adapter.category_key(category)), adapter.category_name(category))
        for label, category in categories.items()
    }


def category_parents() -> dict[str, str | None]:
    """The parent of each category, both as labels of a classifier."""
    field = get_adapter().category_parent_field
    if field is None:
        return {}
    rows: Any = get_category_model()._base_manager.values_list("pk", field)
    return {str(pk): None if parent is None else str(parent) for pk, parent in rows}
