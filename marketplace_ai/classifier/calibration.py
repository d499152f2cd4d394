"""The chance that the first choice is right, learnt from rows with known answers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from .opinion_pool import Codes, Floats, ModelScores, OpinionPool

#: Below this many rows no curve can be fitted.
MIN_ROWS = 30
_EVIDENCE = 6


@dataclass(frozen=True, eq=False)
class PooledScores:
    """Every label's log probability by each part and its pooled score, and the first choice.

    ``parts`` (4, b, k); ``pooled`` (b, k), each row sums to 1; ``first`` (b,) the column of
    the highest; ``probability`` (b,) the calibrated chance that it is right.
    """

    parts: Floats
    pooled: Floats
    first_choice: npt.NDArray[np.intp]
    probability: Floats


@dataclass(frozen=True, eq=False)
class Calibration:
    """The pool, and a logistic curve from the evidence for its first choice to a probability
    (Platt 1999, with more than one input): ``mean``, ``scale``, ``slope`` (6,), ``offset``."""

    opinion_pool: OpinionPool
    mean: Floats
    scale: Floats
    slope: Floats
    offset: float

    @classmethod
    def fit(
        cls, evidence: ModelScores, codes: Codes, prior: Floats, none: int, *, stream: bool
    ) -> Calibration:
        """Fit on scored rows with right answers ``codes`` (b,); -1: a label unknown here.

        ``prior``, ``stream``: see ``Pool.fit``.
        """
        pool = OpinionPool.fit(evidence, codes, prior, none, stream=stream)
        # Until rows say otherwise, the pooled score is the probability.
        plain = cls(pool, np.zeros(_EVIDENCE), np.ones(_EVIDENCE), np.eye(_EVIDENCE)[0], 0.0)
        scores = plain.scores(evidence, none)
        known = np.flatnonzero(~plain._far(scores, none))
        right = (scores.first_choice == codes)[known]
        if len(right) < MIN_ROWS:
            return plain
        features = _features(scores, evidence, none)[known]
        mean, scale = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-6)
        slope, offset = _curve((features - mean) / scale, right)
        return cls(pool, mean, scale, slope, offset)

    def widened(self, labels: int) -> Calibration:
        return replace(self, opinion_pool=self.opinion_pool.widened(labels))

    def scores(self, evidence: ModelScores, none: int) -> PooledScores:
        """Pool the parts and say how likely the first choice is right."""
        parts = self.opinion_pool.parts(evidence)
        pooled = self.opinion_pool.pooled(parts, evidence, none)
        scores = PooledScores(parts, pooled, pooled.argmax(axis=1), np.zeros(len(pooled)))
        features = (_features(scores, evidence, none) - self.mean) / self.scale
        chance = 1 / (1 + np.exp(-(features @ self.slope + self.offset)))
        far = np.where(self._far(scores, none), pooled[:, none], chance)
        return replace(scores, probability=far)

    def _far(self, scores: PooledScores, none: int) -> npt.NDArray[np.bool_]:
        """Rows that fit nothing by distance alone: labelled rows cannot say how often that is
        right, for among them are only postings that somebody had a category for."""
        return np.asarray((scores.first_choice == none) & np.isfinite(self.opinion_pool.background))


def _curve(features: Floats, right: npt.NDArray[np.bool_]) -> tuple[Floats, float]:
    """Slope (f,) and offset of a logistic curve on standardized ``features`` (n, f).

    Instead of 1 and 0 the rows are worth (r + 1) / (r + 2) and 1 / (w + 2), where r of them are
    right and w wrong (Platt 1999). So there is a curve also where all are right, and folds of
    one cross-fit are never scored on two scales, told apart by where the only error fell.
    """
    hits = int(right.sum())
    worth = np.where(right, (hits + 1) / (hits + 2), 1 / (len(right) - hits + 2))
    fitted = LogisticRegression(C=1.0).fit(
        np.vstack([features, features]),
        np.repeat([True, False], len(right)),
        sample_weight=np.concatenate([worth, 1 - worth]),
    )
    return fitted.coef_[0], float(fitted.intercept_[0])


def _features(scores: PooledScores, evidence: ModelScores, none: int) -> Floats:
    """Evidence that the first choice is right, (b, 6): the log odds of its pooled score, its
    lead over the second, the log odds that the most doubtful part gives it, how many parts
    choose it, the nearest similarity, and whether it is "none of these"."""
    rows = np.arange(len(scores.first_choice))
    pooled = scores.pooled
    best = pooled[rows, scores.first_choice]
    second = np.partition(pooled, -2, axis=1)[:, -2] if pooled.shape[1] > 1 else 1 - best
    speaking = scores.parts[:3]  # the shift says the same of every posting
    doubtful = np.exp(speaking[:, rows, scores.first_choice]).min(axis=0)
    agree = (speaking.argmax(axis=2) == scores.first_choice).sum(axis=0)
    lead = np.log(np.maximum(best, 1e-6)) - np.log(np.maximum(second, 1e-6))
    return np.column_stack(
        [
            _log_odds(best),
            lead,
            _log_odds(doubtful),
            agree,
            evidence.nearest,
            scores.first_choice == none,
        ]
    )


def _log_odds(chance: Floats) -> Floats:
    clipped = np.clip(chance, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(clipped / (1 - clipped)))
