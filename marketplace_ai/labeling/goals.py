"""How many more answers each goal takes, with an interval, and what that rests on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from marketplace_ai.guarantee.rows_needed import MAX_ANSWERS, rows_needed
from marketplace_ai.guarantee.target import Target
from marketplace_ai.guarantee.threshold_search import CalibrationSample, find_threshold

from .learning_curve import fit_curve
from .subset_fits import SubsetFits

Floats = npt.NDArray[np.float64]

#: Of what all labels would give, and of all postings.
SHARE_OF_ALL, SHARE_AUTOMATIC = 0.95, 0.5
#: The ends of an interval, as quantiles.
LOW, HIGH = 0.05, 0.95
#: Resamples of the judging families, and draws of an audit.
RESAMPLES, AUDITS = 200, 20
#: Each size of an audit is so many times the one before.
_STEP = 1.4
#: A curve is followed to this many times the labels that it was seen at, and no further.
MAX_EXTRAPOLATION = 10.0


class Reason(StrEnum):
    """Why there is a number, or none."""

    EXTRAPOLATED = "extrapolated"
    RESAMPLED = "resampled"
    REACHED = "reached"
    TOO_FEW_LABELS = "too_few_labels"
    DOES_NOT_FALL = "does_not_fall"
    TOO_FAR = "too_far"
    TOO_OFTEN_WRONG = "too_often_wrong"


@dataclass(frozen=True, slots=True)
class Needed:
    """``answers`` more reach a goal; with a probability of 0.9 from ``low`` to ``high`` of them.

    ``answers`` is None where nothing supports a number, ``high`` where the interval has no end.
    """

    answers: int | None
    low: int | None
    high: int | None
    reason: Reason


def to_share_of_all(fits: SubsetFits | None, labeled: int, waiting: int) -> Needed:
    """Answers until the first choice is right as often as ``SHARE_OF_ALL`` of what it would be
    with every waiting posting answered."""

    def needed(fits: SubsetFits, weights: Floats) -> float | None:
        errors = 1 - (fits.right @ weights) / weights.sum()
        curve = fit_curve(fits.labels, errors)
        if curve is None:
            return None
        return curve.labels_to(1 - SHARE_OF_ALL * (1 - curve.error(labeled + waiting)))

    return _by_curve(fits, needed, labeled)


def to_share_automatic(fits: SubsetFits | None, labeled: int, target: Target) -> Needed:
    """Answers until ``SHARE_AUTOMATIC`` of the postings are automatic at the target precision, if
    an audit then proves it."""

    def needed(fits: SubsetFits, weights: Floats) -> float | None:
        left = [
            1 - _coverage(right, sure, weights, target.precision)
            for right, sure in zip(fits.right, fits.probability, strict=True)
        ]
        curve = fit_curve(fits.labels, np.array(left))
        return None if curve is None else curve.labels_to(1 - SHARE_AUTOMATIC)

    return _by_curve(fits, needed, labeled)


def _by_curve(
    fits: SubsetFits | None,
    needed: Callable[[SubsetFits, Floats], float | None],
    labeled: int,
) -> Needed:
    """Answers beyond the ``labeled`` rows; the interval is the bootstrap's, families resampled."""
    if fits is None:
        return Needed(None, None, None, Reason.TOO_FEW_LABELS)
    _, members = np.unique(fits.families, return_inverse=True)
    found = needed(fits, np.ones(len(members)))
    if found is None:
        return Needed(None, None, None, Reason.DOES_NOT_FALL)
    random = np.random.default_rng(0)
    num_families = int(members.max()) + 1
    resampled = []
    for _ in range(RESAMPLES):
        drawn = np.bincount(random.integers(0, num_families, num_families), minlength=num_families)
        labels = needed(fits, drawn[members].astype(np.float64))
        resampled.append(np.inf if labels is None else labels)
    low, high = np.quantile(resampled, (LOW, HIGH), method="nearest")
    most = MAX_EXTRAPOLATION * float(fits.labels[-1])
    if found <= labeled:
        return Needed(0, 0, _more(high, labeled) if high <= most else None, Reason.REACHED)
    if found > most:
        return Needed(None, _more(low, labeled) if low <= most else None, None, Reason.TOO_FAR)
    return Needed(
        _more(found, labeled),
        _more(min(low, found), labeled),
        _more(max(high, found), labeled) if high <= most else None,
        Reason.EXTRAPOLATED,
    )


def _more(labels: float, labeled: int) -> int:
    return max(0, int(np.ceil(labels - labeled)))


def _coverage(
    right: npt.NDArray[np.bool_], probability: Floats, weights: Floats, precision: float
) -> float:
    """The largest share, surest rows first, of which ``precision`` are right."""
    order = np.argsort(-probability, kind="stable")
    taken = np.cumsum(weights[order])
    hits = np.cumsum(weights[order] * right[order])
    kept = np.flatnonzero((hits >= precision * taken) & (taken > 0))
    return float(taken[kept[-1]] / taken[-1]) if len(kept) else 0.0


def audit_answers(sample: CalibrationSample, target: Target, share: float, counted: int) -> Needed:
    """Answers of the random audit, beyond the ``counted`` ones, until a fit on them proves the
    target for at least ``share`` of the postings (0: for any).

    Audits of ever more answers are drawn from ``sample``, out-of-fold predictions for labeled rows,
    and the search for a threshold is run on each: the number is the one at which half of them end
    with a guarantee, and the ends of the interval those at which a twentieth does and all but one.
    """
    if not len(sample.score):
        return Needed(None, None, None, Reason.TOO_FEW_LABELS)
    random = np.random.default_rng(0)
    found: dict[float, int] = {}
    size = float(rows_needed(target))
    while size <= MAX_ANSWERS / 4:
        answers = round(size)
        proven = 0
        for _ in range(AUDITS):
            rows = random.integers(0, len(sample.score), answers)
            drawn = CalibrationSample(sample.score[rows], sample.wrong[rows], np.arange(answers))
            rule = find_threshold(drawn, answers, target)
            proven += rule.threshold is not None and rule.coverage >= share
        for quantile in (LOW, 0.5, HIGH):
            if proven >= quantile * AUDITS:
                found.setdefault(quantile, answers)
        if HIGH in found:
            break
        size *= _STEP
    if 0.5 not in found:
        low = found.get(LOW)
        return Needed(
            None, None if low is None else max(0, low - counted), None, Reason.TOO_OFTEN_WRONG
        )
    # Who proves it in half of the audits has proven it in a twentieth.
    low, middle, high = found[LOW], found[0.5], found.get(HIGH)
    return Needed(
        max(0, middle - counted), max(0, low - counted),
        None if high is None else max(0, high - counted),
        Reason.RESAMPLED,
    )  # fmt: skip
