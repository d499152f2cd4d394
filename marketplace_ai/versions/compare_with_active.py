"""What is known about a new classifier beside the version in force, as it is stored and shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from marketplace_ai.classifier import ArtifactError
from marketplace_ai.comparison import version_comparison as deciding
from marketplace_ai.comparison.scoring import Bools
from marketplace_ai.models import ClassifierVersion, Exemplar
from marketplace_ai.queue.sql import alias
from marketplace_ai.versions import activation

if TYPE_CHECKING:
    from marketplace_ai.classifier import Classifier, LabeledTexts

FIRST, UNREADABLE, LEARNT = "first", "unreadable", "learnt"


def compare(
    new: Classifier,
    version: int | None,
    exemplars: LabeledTexts,
    ids: Sequence[int],
    rows: LabeledTexts | None,
    descriptions: LabeledTexts,
) -> dict[str, Any]:
    """Compare ``new`` with the stored ``version`` that is in force (None: there is none).

    ``ids`` are the exemplars' keys, ``rows`` the labelled postings of the fit or None, and
    ``descriptions`` vote for both. The
    answer has ``version``, ``objections`` (see ``deciding.comparison.objections``; empty
    where nothing is against the new one), and either the figures of both, or
    ``not_compared``: "first" (there is no other), "unreadable" (the other's bytes cannot be
    used) or "learnt" (the other has learnt from every labelled row).
    """
    if version is None:
        return {"version": None, "objections": [], "not_compared": FIRST}
    try:
        old = activation.load(version)
    except ArtifactError:
        return {"version": version, "objections": [], "not_compared": UNREADABLE}
    # Of labels that the new one knows: its rows were scored with those.
    known = [i for i, label in enumerate(descriptions.labels) if label in set(new.classes)]
    found = deciding.compare(
        new, old, exemplars, rows, _learnt(version, ids),
        descriptions=descriptions.take(np.array(known, dtype=np.intp)),
    )  # fmt: skip
    objections = list(deciding.objections(new.guarantee, old.guarantee, found))
    answer: dict[str, Any] = {"version": version, "objections": objections}
    if not found.rows:
        return {**answer, "not_compared": LEARNT, "left_out": found.left_out}
    return {**answer, **found.as_dict()}


def _learnt(version: int, ids: Sequence[int]) -> Bools:
    """Which exemplars were there when the version was stored. Their text never changes; their
    label may have, and then the version knows the text all the same."""
    stored = ClassifierVersion.objects.using(alias()).values_list("created", flat=True)
    newer = Exemplar.objects.using(alias()).filter(created__gt=stored.get(pk=version))
    return ~np.isin(ids, list(newer.values_list("pk", flat=True)))
