"""Calibration: from pooled scores to the probability that the first choice is right."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from .opinion_pool import NONE_STEEPNESS, Codes, Floats, ModelScores, OpinionPool

#: No curve is fitted on fewer rows.
MIN_ROWS = 30
_NUM_FEATURES = 6


@dataclass(frozen=True, eq=False)
class PooledScores:
    """The scores of b postings for k classes.

    ``parts`` (4, b, k) are the log probabilities by each model; ``pooled`` (b, k), rows sum to 1;
    ``first_choice`` (b,) is the class of the highest, ``probability`` (b,) the calibrated
    probability that it is right.
    """

    parts: Floats
    pooled: Floats
    first_choice: npt.NDArray[np.intp]
    probability: Floats


@dataclass(frozen=True, eq=False)
class Calibration:
    """The opinion pool, and a logistic curve from features of its first choice to a probability.

    The curve (Platt 2000, with more than one input) has ``mean``, ``scale``, ``slope`` (6,) and
    ``offset``.
    """

    opinion_pool: OpinionPool
    mean: Floats
    scale: Floats
    slope: Floats
    offset: float

    @classmethod
    def fit(
        cls,
        model_scores: ModelScores,
        y_true: Codes,
        prior: Floats,
        none_index: int,
        *,
        stream: bool,
    ) -> Calibration:
        """Fit on scored rows with the true classes ``y_true`` (b,); -1: a label that is no class.

        ``prior``, ``stream``: see ``OpinionPool.fit``.
        """
        pool = OpinionPool.fit(model_scores, y_true, prior, none_index, stream=stream)
        # With too few rows the pooled score is the probability.
        plain = cls(
            pool, np.zeros(_NUM_FEATURES), np.ones(_NUM_FEATURES), np.eye(_NUM_FEATURES)[0], 0.0
        )
        scores = plain.scores(model_scores, none_index)
        known = np.flatnonzero(~plain._is_distant(scores, none_index))
        right = (scores.first_choice == y_true)[known]
        if len(right) < MIN_ROWS:
            return plain
        features = _features(scores, model_scores, none_index)[known]
        mean, scale = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-6)
        slope, offset = _curve((features - mean) / scale, right)
        return cls(pool, mean, scale, slope, offset)

    def widened(self, labels: int) -> Calibration:
        return replace(self, opinion_pool=self.opinion_pool.widened(labels))

    def scores(self, model_scores: ModelScores, none_index: int) -> PooledScores:
        """Pool the models and calibrate the probability of the first choice."""
        parts = self.opinion_pool.parts(model_scores)
        pooled = self.opinion_pool.pooled(parts, model_scores, none_index)
        scores = PooledScores(parts, pooled, pooled.argmax(axis=1), np.zeros(len(pooled)))
        features = (_features(scores, model_scores, none_index) - self.mean) / self.scale
        probability = 1 / (1 + np.exp(-(features @ self.slope + self.offset)))
        none = _none_probability(pooled, none_index)
        return replace(
            scores,
            probability=np.where(self._is_distant(scores, none_index), none, probability),
        )

    def _is_distant(self, scores: PooledScores, none_index: int) -> npt.NDArray[np.bool_]:
        """Rows that are "none" by distance alone. Labeled rows cannot tell how often that is
        right: without exemplars of "none" they are postings that have a category."""
        return np.asarray(
            (scores.first_choice == none_index) & (self.opinion_pool.open_set is not None)
        )


def _none_probability(pooled: Floats, none_index: int) -> Floats:
    """The probability that b postings fit no category, by the open set alone (``OpenSet.excess``
    has its scale): what the pool made of it, without its steepness."""
    best = np.delete(pooled, none_index, axis=1).max(axis=1)
    with np.errstate(divide="ignore"):
        odds = np.log(pooled[:, none_index]) - np.log(best)
    return np.asarray(expit(odds / NONE_STEEPNESS))


def _curve(features: Floats, right: npt.NDArray[np.bool_]) -> tuple[Floats, float]:
    """Slope (f,) and offset of a logistic curve on standardized ``features`` (n, f).

    Instead of 1 and 0 the targets are (r + 1) / (r + 2) and 1 / (w + 2), where r of them are
    right and w wrong (Platt 2000). So there is a curve even if all rows are right, and the folds
    of one cross-fit are not calibrated differently because one of them has the only error.
    """
    hits = int(right.sum())
    targets = np.where(right, (hits + 1) / (hits + 2), 1 / (len(right) - hits + 2))
    fitted = LogisticRegression(C=1.0).fit(
        np.vstack([features, features]),
        np.repeat([True, False], len(right)),
        sample_weight=np.concatenate([targets, 1 - targets]),
    )
    return fitted.coef_[0], float(fitted.intercept_[0])


def _features(scores: PooledScores, model_scores: ModelScores, none_index: int) -> Floats:
    """Features of the first choice, (b, 6): the log odds of its pooled score, its
    lead over the second, the log odds that the most doubtful model gives it, how many models
    choose it, the nearest similarity, and whether it is "none"."""
    rows = np.arange(len(scores.first_choice))
    pooled = scores.pooled
    best = pooled[rows, scores.first_choice]
    second = np.partition(pooled, -2, axis=1)[:, -2] if pooled.shape[1] > 1 else 1 - best
    models = scores.parts[:3]  # the prior correction is the same for every posting
    lowest = np.exp(models[:, rows, scores.first_choice]).min(axis=0)
    agree = (models.argmax(axis=2) == scores.first_choice).sum(axis=0)
    lead = np.log(np.maximum(best, 1e-6)) - np.log(np.maximum(second, 1e-6))
    return np.column_stack(
        [
            _log_odds(best),
            lead,
            _log_odds(lowest),
            agree,
            model_scores.nearest,
            scores.first_choice == none_index,
        ]
    )


def _log_odds(probability: Floats) -> Floats:
    clipped = np.clip(probability, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(clipped / (1 - clipped)))
