"""Compare a new classifier with the active version, as the report that is stored with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from marketplace_ai.classifier import ArtifactError
from marketplace_ai.comparison import version_comparison
from marketplace_ai.comparison.report import NotCompared, VersionReport
from marketplace_ai.db.alias import alias
from marketplace_ai.models import ClassifierVersion, Exemplar
from marketplace_ai.versions import activation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marketplace_ai.classifier import Classifier, LabeledTexts
    from marketplace_ai.comparison.paired_tests import Bools
    from marketplace_ai.versions.exemplar_set import ExemplarSet


def compare(
    new: Classifier, active: int | None, exemplars: ExemplarSet, rows: LabeledTexts | None
) -> VersionReport:
    """Compare ``new`` with the stored version ``active`` (None: there is none).

    ``exemplars`` and ``rows`` (the labeled postings, or None) are those that ``new`` was fitted
    with. A version that cannot be compared has no failed check.
    """
    if active is None:
        return VersionReport(version=None, not_compared=NotCompared.FIRST_VERSION)
    try:
        old = activation.load(active)
    except ArtifactError:
        return VersionReport(version=active, not_compared=NotCompared.UNREADABLE)
    results = version_comparison.compare_versions(
        new,
        old,
        exemplars.train,
        rows,
        _seen(active, exemplars.train_ids.tolist()),
        descriptions=_known(exemplars.descriptions, new),
        old_votes=exemplars.votes(active),
    )
    failed = version_comparison.failed_checks(new.guarantee, old.guarantee, results)
    return VersionReport(
        version=active,
        failed_checks=tuple(failed),
        not_compared=None if results.rows else NotCompared.TRAIN_TEST_OVERLAP,
        results=results,
    )


def _known(descriptions: LabeledTexts, classifier: Classifier) -> LabeledTexts:
    """Those of labels that the classifier knows: its rows were scored with these."""
    labels = set(classifier.classes)
    known = [row for row, label in enumerate(descriptions.labels) if label in labels]
    return descriptions.take(np.array(known, dtype=np.intp))


def _seen(version: int, ids: Sequence[int]) -> Bools:
    """Which exemplars existed when the version was stored. Their text never changes; their label
    may have, but the version has seen the text all the same."""
    stored = ClassifierVersion.objects.using(alias()).values_list("created_at", flat=True)
    newer = Exemplar.objects.using(alias()).filter(created_at__gt=stored.get(pk=version))
    return ~np.isin(ids, list(newer.values_list("pk", flat=True)))
