"""From out-of-fold scores to the three rules and the report on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from .crossfit import OutOfFold
from .ground import Names
from .promise import CategoryPromise, Promise, Rule, Trial, by_category, prove
from .taxonomy import parent_columns, sum_by_parent


def make_promise(
    scored: OutOfFold,
    names: Names,
    parents: Mapping[str, str | None],
    *,
    target_precision: float,
    confidence: float,
    calibrated_on: str,
) -> Promise:
    """Prove each rule on the rows it would decide, in the order they are tried."""
    none = names.index(None)
    total = len(scored.answers)
    trial = Trial(scored.probability, scored.first != scored.answers, scored.groups)
    leaf = scored.first != none

    automatic = prove(trial.take(leaf), total, target_precision, confidence)
    reaches = leaf & (scored.probability >= (automatic.threshold or np.inf))
    labels = [name for name in names if name is not None]
    tagged = replace(trial, confidence=np.where(reaches, trial.confidence, -np.inf))
    categories = by_category(
        labels, scored.answers, scored.first, tagged, target_precision, confidence
    )
    automatic = _without_refuted(automatic, tagged, scored, names, categories)

    return Promise(
        target_precision=target_precision,
        confidence=confidence,
        calibrated_on=calibrated_on,
        rows=total,
        groups=len(np.unique(scored.groups)),
        unknown_labels=int((scored.answers < 0).sum()),
        first_choice=_first_choice(scored, none),
        automatic=automatic,
        none=prove(trial.take(~leaf), total, target_precision, confidence),
        parent=_parent_rule(scored, names, parents, reaches, target_precision, confidence),
        categories=categories,
    )


def _without_refuted(
    rule: Rule,
    tagged: Trial,
    scored: OutOfFold,
    names: Names,
    categories: tuple[CategoryPromise, ...],
) -> Rule:
    """Count again without the categories whose own rows speak against the promise."""
    refuted = {names.index(row.label) for row in categories if not row.automated}
    if not refuted:
        return rule
    kept = np.isfinite(tagged.confidence) & ~np.isin(scored.first, list(refuted))
    rows, errors = tagged.take(kept).counted()
    return replace(rule, rows=rows, errors=errors, coverage=int(kept.sum()) / len(kept))


def _first_choice(scored: OutOfFold, none: int) -> float | None:
    rows = scored.answers != none
    if not rows.any():
        return None
    categories = scored.pooled[rows].copy()
    categories[:, none] = -1.0
    return float((categories.argmax(axis=1) == scored.answers[rows]).mean())


def _parent_rule(
    scored: OutOfFold,
    names: Names,
    parents: Mapping[str, str | None],
    automatic: npt.NDArray[np.bool_],
    target_precision: float,
    confidence: float,
) -> Rule:
    found, columns = parent_columns(names, parents)
    total = len(scored.answers)
    rest = ~automatic & (scored.first != names.index(None)) & bool(found)
    sums = sum_by_parent(scored.pooled, columns, max(len(found), 1))
    best = sums.argmax(axis=1)
    right = np.where(scored.answers >= 0, columns[scored.answers], -1)
    trial = Trial(sums.max(axis=1), best != right, scored.groups).take(rest)
    return prove(trial, total, target_precision, confidence)
