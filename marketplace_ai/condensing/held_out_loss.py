"""What fewer votes cost: held-out rows decided with all votes, and with some."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from marketplace_ai.classifier.calibration import Calibration
from marketplace_ai.classifier.exemplar_model import ExemplarModel
from marketplace_ai.classifier.labeled import LabeledTexts
from marketplace_ai.classifier.opinion_pool import ModelScores
from marketplace_ai.classifier.vote import SCALE, hybrid, relative_kernel
from marketplace_ai.comparison.paired_tests import bootstrap_interval
from marketplace_ai.guarantee.target import Target
from marketplace_ai.guarantee.threshold_search import CalibrationSample, find_threshold

Codes = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]

#: Of n independent rows without an error the rate is at most 3 / n, with 95% confidence (Hanley
#: and Lippman-Hand 1983).
_RULE_OF_THREE = 3.0
_BLOCK = 64


@dataclass(frozen=True, slots=True)
class Loss:
    """What fewer votes cost on ``rows`` held-out rows, all shares of these.

    ``before`` and ``after``: first choices that are right; ``loss`` is their difference, with a 95%
    interval from ``low`` to ``high`` by families. ``automatic_*`` are rows given a category without
    a person, at thresholds that were found on other rows, and ``errors_*`` those that are wrong.
    """

    rows: int
    before: float
    after: float
    loss: float
    low: float
    high: float
    automatic_before: int
    automatic_after: int
    errors_before: int
    errors_after: int

    def keeps(self, bound: float, precision: float) -> bool:
        """Whether the loss is at most ``bound`` with the whole interval, and automatic decisions
        are as precise as before, or at least as the target ``precision``."""
        before = _precision(self.automatic_before, self.errors_before)
        after = _precision(self.automatic_after, self.errors_after)
        return self.high <= bound and after >= min(before, precision)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, eq=False)
class HeldOut:
    """b held-out rows, scored with each of several sets of votes: ``model_scores``.

    ``y_true`` (b,) are their classes and ``families`` (b,) their families' numbers.
    """

    model_scores: Sequence[ModelScores]
    y_true: Codes
    families: Codes

    def take(self, rows: Codes) -> HeldOut:
        return HeldOut(
            [scores.take(rows) for scores in self.model_scores],
            self.y_true[rows],
            self.families[rows],
        )


def score(
    model: ExemplarModel,
    exemplars: LabeledTexts,
    codes: Codes,
    sets: Codes,
    rows: LabeledTexts,
    progress: Callable[[int], None],
) -> list[ModelScores]:
    """Score b ``rows`` with each of several sets of votes, every one a part of the one before.

    ``codes`` (n,) are the classes of the ``exemplars``, and ``sets`` (n,) in how many of the sets
    each is: all are in the first. Similarities are computed once for all sets, and for a few rows
    at a time, so memory does not grow with b times n.
    """
    order = np.argsort(-sets, kind="stable")
    index = model.index(exemplars.take(order))
    nested = _NestedSets(codes[order], sets[order], len(model.classes))
    parts: list[list[ModelScores]] = [[] for _ in range(nested.count)]
    for start in range(0, len(rows), _BLOCK):
        vectors = rows.vectors[start : start + _BLOCK]
        grams = model.features.transform(rows.texts[start : start + _BLOCK])
        by_vector, by_text = (
            each.astype(np.float64)
            for each in model.linear_heads.scores(
                model.metric.center(vectors), grams, len(model.classes)
            )
        )
        densities = nested.densities(hybrid(*index.compare(vectors, grams)))
        for found, (log_density, nearest) in zip(parts, densities, strict=True):
            found.append(ModelScores(log_density, by_vector, by_text, nearest))
        progress(len(vectors))
    return [ModelScores.concatenate(found) for found in parts]


class _NestedSets:
    """The votes of n exemplars, in the order of the smallest set that each is in."""

    def __init__(self, codes: Codes, sets: Codes, classes: int) -> None:
        self.count = int(sets.max())
        self._classes = classes
        parts = self.count - sets  # 0: in all of them
        self._bounds = np.searchsorted(parts, np.arange(self.count + 1))
        ids = parts * classes + codes
        self._by_part = sp.csc_matrix(
            (np.ones(len(codes), dtype=np.float32), ids, np.arange(len(codes) + 1)),
            (self.count * classes, len(codes)),
        )
        self._sizes = np.bincount(ids, minlength=self.count * classes).reshape(-1, classes)

    def densities(
        self, similarity: npt.NDArray[np.float32]
    ) -> list[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
        """Of each set, the largest first: what ``vote`` gives as ``log_density`` (b, k) and
        ``nearest`` (b,) with these exemplars alone."""
        rows = len(similarity)
        nearest = np.column_stack(
            [
                similarity[:, start:end].max(axis=1, initial=-1.0)
                for start, end in pairwise(self._bounds)
            ]
        )
        nearest = np.maximum.accumulate(nearest, axis=1)
        kernel = relative_kernel(similarity, nearest[:, -1])
        mass = np.asarray(self._by_part @ kernel.T, dtype=np.float64)
        mass = mass.reshape(self.count, self._classes, rows).cumsum(axis=0)
        sizes = self._sizes.cumsum(axis=0)[:, :, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.where(sizes > 0, np.log(mass) - np.log(sizes), -np.inf)
        logs += SCALE * nearest[:, -1]
        return [
            (np.ascontiguousarray(logs[part].T), nearest[:, part].astype(np.float64))
            for part in reversed(range(self.count))
        ]


@dataclass(frozen=True, eq=False)
class Decided:
    """b rows decided: whether the first choice is ``correct``, and given ``automatic``ally."""

    correct: Bools
    automatic: Bools


def decide(
    scores: ModelScores,
    calibrating: HeldOut,
    own: ModelScores,
    y_true: Codes,
    prior: npt.NDArray[np.float64],
    target: Target,
) -> Decided:
    """Decide rows by their ``scores``, calibrated on the rows of ``calibrating``, whose scores with
    the same votes are ``own``."""
    none = len(prior) - 1
    fitted = Calibration.fit(own, calibrating.y_true, prior, none, stream=False)
    known = fitted.scores(own, none)
    sample = CalibrationSample(
        known.probability, known.first_choice != calibrating.y_true, calibrating.families
    ).take(known.first_choice != none)
    rule = find_threshold(sample, len(calibrating.y_true), target)
    threshold = np.inf if rule.threshold is None else rule.threshold
    found = fitted.scores(scores, none)
    return Decided(
        found.first_choice == y_true,
        (found.first_choice != none) & (found.probability >= threshold),
    )


def loss_of(before: Decided, after: Decided, families: Codes) -> Loss:
    """Compare both on the same rows; their ``families`` (b,) are drawn whole for the interval."""
    low, high = bootstrap_interval(before.correct, after.correct, families)
    errors = [each.automatic & ~each.correct for each in (before, after)]
    shares = float(before.correct.mean()), float(after.correct.mean())
    found = Loss(
        len(families), *shares, shares[0] - shares[1], low, high,
        int(before.automatic.sum()), int(after.automatic.sum()),
        int(errors[0].sum()), int(errors[1].sum()),
    )  # fmt: skip
    # Where no row differs, the interval has no width, however few rows there are.
    return replace(found, high=max(high, least_bound(families)))


def least_bound(families: Codes) -> float:
    """The smallest loss that rows of these ``families`` (b,) can prove: that of no row lost."""
    return _RULE_OF_THREE / max(len(np.unique(families)), 1)


def _precision(automatic: int, errors: int) -> float:
    return 1 - errors / automatic if automatic else 1.0
