"""Metrics: calibration error, Brier score, top-k hits and the coverage curve, from arrays."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import beta

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

#: Bins of the calibration error; of equal count, so that none is ruled by chance.
BINS = 15


def share(right: int, of: int) -> float | None:
    """``right / of``; None where there is nothing to divide by."""
    return right / of if of else None


def interval(right: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """Exact two-sided interval of a share (Clopper and Pearson, 1934), 95% unless said otherwise.

    ``n`` need not be whole: rows that repeat each other count as fewer (``effective_rows``).
    """
    tail = (1 - level) / 2
    low = float(beta.ppf(tail, right, n - right + 1)) if right else 0.0
    high = float(beta.ppf(1 - tail, right + 1, n - right)) if right < n else 1.0
    return low, high


def effective_rows(families: npt.NDArray[np.intp], weights: Floats | None = None) -> float:
    """How many independent rows are worth as much as these, numbered by family (n,).

    Kish (1965), where all of a family would come out alike: n² by the sum of squared sizes. Rows
    count as much as their ``weights`` (n,), or alike (None).

    >>> effective_rows(np.array([0, 1, 2])), effective_rows(np.array([0, 0, 0, 0]))
    (3.0, 1.0)
    """
    if not len(families):
        return 0.0
    sizes = np.bincount(np.unique(families, return_inverse=True)[1], weights)
    return float(sizes.sum() ** 2 / (sizes**2).sum())


@dataclass(frozen=True, slots=True)
class Bin:
    """Rows of like probability: how many, the mean probability, and the share that was right."""

    n: int
    probability: float
    right: float


def bins(probability: Floats, right: Bools, count: int = BINS) -> list[Bin]:
    """The rows (n,) sorted by probability, in ``count`` parts whose sizes differ by one at most.

    Fewer rows than parts give as many parts as rows. Equal probabilities keep their order.
    """
    order = np.argsort(probability, kind="stable")
    parts = np.array_split(order, count)
    return [
        Bin(len(part), float(probability[part].mean()), float(right[part].mean()))
        for part in parts
        if len(part)
    ]


def expected_calibration_error(probability: Floats, right: Bools, count: int = BINS) -> float:
    """Mean distance between probability and accuracy, over bins of equal count.

    Naeini, Cooper and Hauskrecht (2015); equal-count ("adaptive") bins after Nixon et al. (2019).
    """
    found = bins(probability, right, count)
    return sum(part.n * abs(part.probability - part.right) for part in found) / max(len(right), 1)


def brier_score(probability: Floats, right: Bools) -> float:
    """Mean square of probability minus outcome (Brier, 1950); 0 is perfect."""
    return float(np.mean((probability - right) ** 2)) if len(right) else 0.0


def among_first(ranked: Sequence[Sequence[str]], answers: Sequence[Collection[str]], k: int) -> int:
    """Rows with a right answer among their first ``k``; a row without answers never counts."""
    return sum(
        any(label in right for label in labels[:k])
        for labels, right in zip(ranked, answers, strict=True)
    )


@dataclass(frozen=True, eq=False)
class Curve:
    """Precision when the most probable rows are automatic: both float64 (m,), by coverage."""

    coverage: Floats
    precision: Floats


def coverage_curve(probability: Floats, right: Bools, total: int) -> Curve:
    """One point for each probability that occurs, from the surest down.

    ``probability`` and ``right`` (c,) are the rows that may be decided, ``total`` all rows:
    coverage is a share of these. Rows of equal probability are decided together.
    """
    order = np.argsort(-probability, kind="stable")
    sorted_probability = probability[order]
    count = np.arange(1, len(order) + 1)
    hits = np.cumsum(right[order])
    last = np.append(sorted_probability[1:] != sorted_probability[:-1], True)[: len(order)]
    return Curve(count[last] / max(total, 1), hits[last] / count[last])
