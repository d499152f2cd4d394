"""The opinion pool: vote, linear heads and prior combined into one score for each class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, logsumexp, softmax

from .open_set import OpenSet

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

#: Weights of vote, vector head, text head and prior correction before labeled postings correct
#: them: about what a few hundred postings give on four data sets.
PRIOR_WEIGHTS = np.array([0.5, 1.0, 0.5, 0.8])
#: The same if exemplars stand in for postings. They are nearer to each other than to postings, so
#: the vote gets less weight, and the prior weights count for more rows: families that nobody knows
#: of flatter the vote. (By first choices on training rows that were not drawn, eight draws of four
#: public sets with 8 and 24 exemplars a category, 0.4 for the text head and not 0.7 is 0.1 to 0.4
#: points better on six, as good on one and 0.25 worse on one.)
PRIOR_WEIGHTS_EXEMPLARS = np.array([0.15, 1.0, 0.4, 0.8])
#: How many labeled rows the prior weights count for, in the two cases.
PRIOR_ROWS, PRIOR_ROWS_EXEMPLARS = 10.0, 300.0
#: How fast a posting turns into "none" at the limit of the open set: fast, so that the scores of
#: postings well within it stay as they are. (At 1 they are all lowered, and nothing is automatic.)
NONE_STEEPNESS = 4.0
#: Log odds of "none" at most, so that the order of the categories stays to be seen.
_CERTAIN = 20.0
#: No model has a veto: its log probability counts as at least this.
_FLOOR = -20.0


@dataclass(frozen=True, eq=False)
class ModelScores:
    """The scores of each model for b postings and k classes, before pooling.

    ``log_density`` (b, k) of the vote (-inf: no exemplar), ``by_vector`` and ``by_text`` (b, k) of
    the linear heads (NaN: no head for the class), ``nearest`` (b,): similarity of the nearest
    exemplar.
    """

    log_density: Floats
    by_vector: Floats
    by_text: Floats
    nearest: Floats

    def take(self, rows: Codes) -> ModelScores:
        return ModelScores(*(getattr(self, field.name)[rows] for field in fields(self)))

    @classmethod
    def concatenate(cls, parts: Sequence[ModelScores]) -> ModelScores:
        columns = (field.name for field in fields(cls))
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in columns))


@dataclass(frozen=True, eq=False)
class OpinionPool:
    """The weights of the vote, both linear heads and the prior correction.

    The pooled score of a class is proportional to the product of its probability by each model, to
    the power of that model's weight (a logarithmic opinion pool: Genest and Zidek 1986).

    ``weights`` (4,); ``prior`` (k,): log frequency of each class among the exemplars (see
    ``exemplar_prior``); ``prior_correction`` (k,): what to add for its frequency among postings
    (0 if that is unknown, and for classes without heads: the labeled rows are older);
    ``open_set``: when a posting is "none" if that has no exemplars (None if it has).
    """

    weights: Floats
    prior: Floats
    prior_correction: Floats
    open_set: OpenSet | None

    @classmethod
    def fit(
        cls,
        model_scores: ModelScores,
        y_true: Codes,
        prior: Floats,
        none_index: int,
        *,
        stream: bool,
    ) -> OpinionPool:
        """Find the weights that make the true classes ``y_true`` (b,) likeliest (-1: no class).

        ``prior`` is that of the exemplars; ``stream``: the rows are postings as they come in, so
        the frequencies of their labels count instead.
        """
        correction = log_frequency(y_true, len(prior)) - prior if stream else np.zeros(len(prior))
        correction[np.isnan(model_scores.by_vector).all(axis=0)] = 0.0
        prior_weights, prior_rows = (
            (PRIOR_WEIGHTS, PRIOR_ROWS)
            if stream
            else (PRIOR_WEIGHTS_EXEMPLARS, PRIOR_ROWS_EXEMPLARS)
        )
        pool = cls(prior_weights, prior, correction, None)
        # A row whose class has no exemplar (in its fold) carries no information on the weights.
        answered = np.isfinite(model_scores.log_density[np.arange(len(y_true)), y_true])
        rows = np.flatnonzero((y_true >= 0) & answered)
        if not len(rows):
            return pool
        known = model_scores.take(rows)
        parts = pool.parts(known)
        pool = replace(pool, weights=_likeliest(parts, y_true[rows], prior_weights, prior_rows))
        if np.isfinite(model_scores.log_density[:, none_index]).any():
            return pool
        best = pool.pooled(parts, known, none_index).max(axis=1)
        return replace(pool, open_set=OpenSet.fit(_density(known), best))

    def widened(self, num_classes: int) -> OpinionPool:
        """For ``num_classes`` columns: those newer than the fit are as rare as the rarest known."""
        new = num_classes - len(self.prior)
        if not new:
            return self
        prior = np.concatenate([self.prior, np.full(new, self.prior.min())])
        return replace(
            self,
            prior=prior,
            prior_correction=np.concatenate([self.prior_correction, np.zeros(new)]),
        )

    def parts(self, model_scores: ModelScores) -> Floats:
        """Log probability of each class by vote, vector head and text head, and the prior
        correction: float64 (4, b, k)."""
        density = model_scores.log_density + self.prior
        # If nothing votes at all, every class is equally likely.
        density[~np.isfinite(density).any(axis=1)] = 0.0
        voted = softmax(density, axis=1)
        probabilities = [
            voted,
            _with_unknown(model_scores.by_vector, voted),
            _with_unknown(model_scores.by_text, voted),
        ]
        with np.errstate(divide="ignore"):
            logs = [np.maximum(np.log(probability), _FLOOR) for probability in probabilities]
        return np.stack([*logs, np.broadcast_to(self.prior_correction, voted.shape)])

    def pooled(self, parts: Floats, model_scores: ModelScores, none_index: int) -> Floats:
        """The score of each class, (b, k); each row sums to 1. A class without exemplars scores 0,
        whatever its heads say: it was removed from the vote."""
        mixed = np.tensordot(self.weights, parts, axes=1)
        voting = np.isfinite(model_scores.log_density)
        mixed[~voting & voting.any(axis=1, keepdims=True)] = -np.inf
        pooled = np.asarray(softmax(mixed, axis=1))
        if self.open_set is not None:
            best = pooled.max(axis=1)
            excess = self.open_set.excess(_density(model_scores), best)
            # "None" is measured against the best category, not against all of them: otherwise a
            # posting that several share is "none" at any distance, and a person wants to see it.
            none = expit(np.minimum(np.log(best) + NONE_STEEPNESS * excess, _CERTAIN))
            pooled *= (1 - none)[:, None]
            pooled[:, none_index] += none
        return pooled


def log_frequency(class_ids: Codes, num_classes: int) -> Floats:
    """Log frequency of each class, with one row added to each so that unseen ones stay possible."""
    counts = np.bincount(class_ids[class_ids >= 0], minlength=num_classes) + 1.0
    return np.asarray(np.log(counts / counts.sum()))


def exemplar_prior(class_ids: Codes, rare: npt.NDArray[np.bool_]) -> Floats:
    """Log frequency of each class among the exemplars; that of a class that is ``rare`` (k,) is
    that of the rarest other, as in ``widened`` for classes newer than the fit. If all are rare,
    all are alike."""
    prior = log_frequency(class_ids, len(rare))
    present = np.bincount(class_ids[class_ids >= 0], minlength=len(rare)) > 0
    others = present & ~rare
    if rare.any():
        prior[rare] = prior[others].min() if others.any() else -np.log(len(prior))
    return prior


def _density(model_scores: ModelScores) -> Floats:
    """The log density of b postings over all classes, (b,); -inf where nothing votes. Every class
    counts alike: what is in one of few exemplars is no farther from what is known."""
    return np.asarray(logsumexp(model_scores.log_density, axis=1))


def _with_unknown(scores: Floats, voted: Floats) -> Floats:
    """Softmax of a linear head; a class without a head keeps its probability by the vote."""
    # Row by row: cross-fitted rows come from heads that lack different classes.
    unknown = np.isnan(scores)
    has_head = ~unknown.all(axis=1)
    probability = voted.copy()
    kept = np.where(unknown, voted, 0.0)[has_head]
    spread = softmax(np.where(unknown, -np.inf, scores)[has_head], axis=1)
    probability[has_head] = kept + spread * (1 - kept.sum(axis=1, keepdims=True))
    return probability


def _likeliest(parts: Floats, answers: Codes, prior_weights: Floats, prior_rows: float) -> Floats:
    """Nonnegative weights of least log loss, with the prior weights counted as so many rows."""
    rows = np.arange(len(answers))
    pull = prior_rows / len(answers)

    def loss(weights: Floats) -> tuple[float, Floats]:
        mixed = np.tensordot(weights, parts, axes=1)
        log_probabilities = log_softmax(mixed, axis=1)
        expected = np.exp(log_probabilities)
        slope = [
            (expected * part).sum(axis=1).mean() - part[rows, answers].mean() for part in parts
        ]
        away = weights - prior_weights
        return (
            float(-log_probabilities[rows, answers].mean() + pull * (away @ away) / 2),
            np.array(slope) + pull * away,
        )

    found = minimize(
        loss, prior_weights, jac=True, bounds=[(0, 3)] * len(prior_weights), method="L-BFGS-B"
    )
    return np.asarray(found.x, dtype=np.float64)
