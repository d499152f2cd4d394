"""From out-of-fold scores to the three rules and the report on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from marketplace_ai.guarantee import minimum_counts
from marketplace_ai.guarantee.threshold_search import Guarantee, Rule, CalibrationSample, category_guarantees, find_threshold

from . import second_category
from .cross_fitting import OutOfFold
from .exemplar_model import Classes
from .taxonomy import parent_columns, sum_by_parent


def certify(
    scored: OutOfFold,
    names: Classes,
    parents: Mapping[str, str | None],
    exemplars: npt.NDArray[np.intp],
    *,
    target_precision: float,
    confidence: float,
    calibrated_on: str,
) -> Guarantee:
    """Prove each rule on the rows it would decide, in the order they are tried.

    ``exemplars`` (k,) counts each label's. The promise over all categories is proven on rows
    whose first choice had enough of them, and covers those; another category is decided at
    the same threshold where its own rows prove that.
    """
    none = names.index(None)
    total = len(scored.answers)
    trial = CalibrationSample(scored.probability, scored.first != scored.answers, scored.groups)
    leaf = scored.first != none

    pooled = leaf & (exemplars >= minimum_counts.MIN_EXEMPLARS_FOR_GUARANTEE)[scored.first]
    automatic = find_threshold(trial.take(pooled), total, target_precision, confidence)
    threshold = np.inf if automatic.threshold is None else automatic.threshold
    reaches = leaf & (scored.probability >= threshold)
    labels = [name for name in names if name is not None]
    tagged = replace(trial, confidence=np.where(reaches, trial.confidence, -np.inf))
    categories = category_guarantees(
        labels, scored.answers, scored.first, tagged, exemplars, target_precision, confidence
    )
    # Refuted categories are found by looking at the errors, so what remains is no test of
    # its own: the counts and the bound stay those that were proven, with them included.
    left_out = [names.index(row.label) for row in categories if not row.automated]
    decided = reaches & ~np.isin(scored.first, left_out)
    automatic = replace(automatic, coverage=int(decided.sum()) / max(total, 1))

    return Guarantee(
        target_precision=target_precision,
        confidence=confidence,
        calibrated_on=calibrated_on,
        rows=total,
        groups=len(np.unique(scored.groups)),
        unknown_labels=int((scored.answers < 0).sum()),
        first_choice=_first_choice(scored, none),
        automatic=automatic,
        none=find_threshold(trial.take(~leaf), total, target_precision, confidence),
        parent=_parent_rule(scored, names, parents, decided, target_precision, confidence),
        secondary=second_category.find_threshold(scored.seconds, scored.answers, scored.groups, confidence),
        categories=categories,
    )


def _first_choice(scored: OutOfFold, none: int) -> float | None:
    rows = scored.answers != none
    if not rows.any():
        return None
    categories = scored.pooled[rows].copy()
    categories[:, none] = -1.0
    return float((categories.argmax(axis=1) == scored.answers[rows]).mean())


def _parent_rule(
    scored: OutOfFold,
    names: Classes,
    parents: Mapping[str, str | None],
    decided: npt.NDArray[np.bool_],
    target_precision: float,
    confidence: float,
) -> Rule:
    """Prove the parent on every row that no leaf decides, as it is asked at run time."""
    found, columns = parent_columns(names, parents)
    total = len(scored.answers)
    rest = ~decided & (scored.first != names.index(None)) & bool(found)
    sums = sum_by_parent(scored.pooled, columns, max(len(found), 1))
    best = sums.argmax(axis=1)
    right = np.where(scored.answers >= 0, columns[scored.answers], -1)
    trial = CalibrationSample(sums.max(axis=1), best != right, scored.groups).take(rest)
    return find_threshold(trial, total, target_precision, confidence)
