"""From vote and pattern to one score a label, and to the chance that the first is right."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression

Floats = npt.NDArray[np.float64]

#: The pattern's part of the pooled score. Half and half is as good as any fitted share.
OWN_PART = 0.5
#: Below this many rows, or with all of them right or wrong, no curve can be fitted.
ENOUGH_ROWS = 30
_EVIDENCE = 6


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known about b postings before calibration; the columns are k labels.

    ``log_density`` (b, k) of the vote, ``margins`` (b, k) of the pattern (NaN: it does not
    know the label), ``nearest`` (b,): similarity of the nearest exemplar.
    """

    log_density: Floats
    margins: Floats
    nearest: Floats

    def take(self, rows: npt.NDArray[np.intp]) -> Evidence:
        return Evidence(self.log_density[rows], self.margins[rows], self.nearest[rows])


@dataclass(frozen=True, eq=False)
class Scores:
    """Pooled score of every label, its two parts (each row sums to 1), and the first choice.

    ``pooled`` = (1 - OWN_PART) x ``voted`` + OWN_PART x ``own``, all (b, k); ``first`` (b,)
    the column of the highest; ``probability`` (b,) the calibrated chance that it is right.
    """

    pooled: Floats
    voted: Floats
    own: Floats
    first: npt.NDArray[np.intp]
    probability: Floats


@dataclass(frozen=True, eq=False)
class Calibration:
    """Everything learnt from scored rows with known answers.

    ``log_prior`` (k,): how often each label comes in; ``temperature`` sharpens the
    pattern's margins; ``background``: log density that speaks for "none of these" where no
    exemplar does (-inf where exemplars do); ``mean``, ``scale``, ``slope`` (each (6,)) and
    ``offset``: a logistic curve from the evidence for the first choice to its probability.
    """

    log_prior: Floats
    temperature: float
    background: float
    mean: Floats
    scale: Floats
    slope: Floats
    offset: float

    @classmethod
    def fit(
        cls, evidence: Evidence, codes: npt.NDArray[np.intp], log_prior: Floats, none: int
    ) -> Calibration:
        """Fit on scored rows with right answers ``codes`` (b,); -1: a label unknown here."""
        plain = cls(
            log_prior, _temperature(evidence, codes), _background(evidence, log_prior, none),
            np.zeros(_EVIDENCE), np.ones(_EVIDENCE), np.eye(_EVIDENCE)[0], 0.0,
        )  # fmt: skip
        scores = plain.scores(evidence, none)
        right = scores.first == codes
        if len(codes) < ENOUGH_ROWS or right.all() or not right.any():
            return plain
        features = _features(scores, evidence, none)
        mean, scale = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-6)
        curve = LogisticRegression(C=1.0).fit((features - mean) / scale, right)
        return cls(
            log_prior, plain.temperature, plain.background,
            mean, scale, curve.coef_[0], float(curve.intercept_[0]),
        )  # fmt: skip

    def with_prior(self, log_prior: Floats) -> Calibration:
        return replace(self, log_prior=log_prior)

    def scores(self, evidence: Evidence, none: int) -> Scores:
        """Pool both parts and say how likely the first choice is right."""
        density = evidence.log_density.copy()
        if np.isfinite(self.background):
            density[:, none] = np.logaddexp(density[:, none], self.background)
        # Where nothing at all votes, the prior alone speaks for "none of these".
        density[~np.isfinite(density).any(axis=1), none] = 0.0
        voted = softmax(density + self.log_prior, axis=1)
        own = _own(evidence.margins * self.temperature, voted)
        pooled = (1 - OWN_PART) * voted + OWN_PART * own
        first = pooled.argmax(axis=1)
        scores = Scores(pooled, voted, own, first, np.zeros(len(pooled)))
        features = (_features(scores, evidence, none) - self.mean) / self.scale
        chance = 1 / (1 + np.exp(-(features @ self.slope + self.offset)))
        return Scores(pooled, voted, own, first, chance)


def log_prior(codes: npt.NDArray[np.intp], labels: int) -> Floats:
    """Log frequency of each label, one row more each so that the unseen stay possible."""
    counts = np.bincount(codes[codes >= 0], minlength=labels) + 1.0
    return np.asarray(np.log(counts / counts.sum()))


def _own(margins: Floats, voted: Floats) -> Floats:
    """Softmax of the pattern; a label it does not know keeps what the vote gives it."""
    # Asked row by row: cross-fitted rows come from patterns that lack different labels.
    unknown = np.isnan(margins)
    some = ~unknown.all(axis=1)
    own = voted.copy()
    kept = np.where(unknown, voted, 0.0)[some]
    spread = softmax(np.where(unknown, -np.inf, margins)[some], axis=1)
    own[some] = kept + spread * (1 - kept.sum(axis=1, keepdims=True))
    return own


def _temperature(evidence: Evidence, codes: npt.NDArray[np.intp]) -> float:
    known = np.logical_not(np.isnan(evidence.margins))
    rows = np.flatnonzero((codes >= 0) & known[np.arange(len(codes)), codes])
    if len(rows) < ENOUGH_ROWS:
        return 4.0  # what a few hundred labelled postings typically give
    margins = np.where(known, evidence.margins, -np.inf)[rows]
    answers = codes[rows]

    def surprise(log_temperature: float) -> float:
        chances = log_softmax(margins * np.exp(log_temperature), axis=1)
        return -float(chances[np.arange(len(rows)), answers].mean())

    # One number, a smooth valley; e**-2 to e**4 spans anything margins of about 1 can need.
    return float(np.exp(minimize_scalar(surprise, bounds=(-2, 4), method="bounded").x))


def _background(evidence: Evidence, log_prior: Floats, none: int) -> float:
    if np.isfinite(evidence.log_density[:, none]).any():
        return -np.inf
    best = (evidence.log_density + log_prior).max(axis=1)
    best = best[np.isfinite(best)]
    if not len(best):
        return -np.inf
    # Without exemplars of "none", a posting that its best category answers more weakly than
    # 19 of 20 known ones is taken to be far from everything. How rare "none" was among those
    # must not hide it, so its prior is taken out here and comes back with the others'.
    return float(np.quantile(best, 0.05) - log_prior[none])


def _features(scores: Scores, evidence: Evidence, none: int) -> Floats:
    """Evidence that the first choice is right, (b, 6): the log odds of its pooled score,
    its lead over the second, the weaker of both parts' log odds, whether both parts agree,
    the nearest similarity, and whether it is "none of these"."""
    rows = np.arange(len(scores.first))
    pooled = scores.pooled
    best = pooled[rows, scores.first]
    second = np.partition(pooled, -2, axis=1)[:, -2] if pooled.shape[1] > 1 else 1 - best
    weaker = np.minimum(
        _log_odds(scores.voted[rows, scores.first]), _log_odds(scores.own[rows, scores.first])
    )
    agree = scores.voted.argmax(axis=1) == scores.own.argmax(axis=1)
    lead = np.log(np.maximum(best, 1e-6)) - np.log(np.maximum(second, 1e-6))
    return np.column_stack(
        [_log_odds(best), lead, weaker, agree, evidence.nearest, scores.first == none]
    )


def _log_odds(chance: Floats) -> Floats:
    clipped = np.clip(chance, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(clipped / (1 - clipped)))
