"""From vote, patterns and prior to one score a label: a weighted product of what each says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, logsumexp, softmax

from .linear_heads import rare_classes

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

#: Weights of vote, vector pattern, text pattern and shift, before labelled postings correct
#: them: about what a few hundred of them give on four sets.
PRIOR_WEIGHTS = np.array([0.5, 1.0, 0.5, 0.8])
#: The same before exemplars do, where these stand in for postings. They are nearer to each other
#: than to postings, so among themselves the vote is right more often than it will be: it weighs
#: less, and what they say is believed less. (On a plateau of first choices on held-out rows of
#: three public sets with 8 and 24 exemplars a category.)
PRIOR_WEIGHTS_EXEMPLARS = np.array([0.15, 1.0, 0.7, 0.8])
#: How many labelled rows the one and the other count for.
PRIOR_ROWS, PRIOR_ROWS_EXEMPLARS = 10.0, 300.0
#: Without exemplars of "none", a posting that the exemplars of all categories together answer
#: more weakly than this share of the known ones is taken to be far from everything.
NONE_QUANTILE = 0.02
#: How fast a posting beyond that distance turns into "none": what is torn between categories
#: but near enough must not, for a person wants to see those.
NONE_STEEPNESS = 4.0
#: No part may veto: what it finds less likely than this counts as this.
_FLOOR = -20.0


@dataclass(frozen=True, eq=False)
class ModelScores:
    """What is known about b postings before any weighing; the columns are k labels.

    ``log_density`` (b, k) of the vote (-inf: no exemplar), ``by_vector`` and ``by_text``
    (b, k) of the patterns (NaN: they do not know the label), ``nearest`` (b,): similarity of
    the nearest exemplar.
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
    """How much the vote, both patterns and the shift from exemplars to the stream weigh.

    The pooled score of a label is proportional to the product of its probability by each
    part, to the power of that part's weight (a logarithmic opinion pool: Genest and Zidek
    1986). ``weights`` (4,); ``prior`` (k,): log frequency of each label among the exemplars
    (see ``exemplar_prior``); ``shift`` (k,): what to add for its frequency in the stream (0
    where that is not known, and for labels without a pattern: the labelled rows are older);
    ``background``: where no exemplar is "none of these", the log density that speaks for it
    against all others' (-inf where exemplars do).
    """

    weights: Floats
    prior: Floats
    prior_correction: Floats
    background: float

    @classmethod
    def fit(
        cls, evidence: ModelScores, codes: Codes, prior: Floats, none: int, *, stream: bool
    ) -> OpinionPool:
        """Find the weights that make right answers ``codes`` (b,) likeliest (-1: no label).

        ``prior`` is the exemplars'; ``stream``: the answers are of postings as they come in,
        so their frequencies count instead.
        """
        shift = log_frequency(codes, len(prior)) - prior if stream else np.zeros(len(prior))
        shift[np.isnan(evidence.by_vector).all(axis=0)] = 0.0
        usual, usual_rows = (
            (PRIOR_WEIGHTS, PRIOR_ROWS)
            if stream
            else (PRIOR_WEIGHTS_EXEMPLARS, PRIOR_ROWS_EXEMPLARS)
        )
        plain = cls(usual, prior, shift, _background(evidence, prior, none))
        # A row whose label has no exemplar (in its fold) says nothing about who is to be heard.
        answered = np.isfinite(evidence.log_density[np.arange(len(codes)), codes])
        rows = np.flatnonzero((codes >= 0) & answered)
        if not len(rows):
            return plain
        answers = codes[rows]
        parts = plain.parts(evidence.take(rows))
        return replace(plain, weights=_likeliest(parts, answers, usual, usual_rows))

    def widened(self, labels: int) -> OpinionPool:
        """For ``labels`` columns: those newer than the fit are as rare as the rarest known."""
        new = labels - len(self.prior)
        if not new:
            return self
        prior = np.concatenate([self.prior, np.full(new, self.prior.min())])
        return replace(
            self,
            prior=prior,
            prior_correction=np.concatenate([self.prior_correction, np.zeros(new)]),
        )

    def parts(self, evidence: ModelScores) -> Floats:
        """Log probability of each label by vote, vector pattern and text pattern, and the
        shift: float64 (4, b, k)."""
        density = evidence.log_density + self.prior
        # Where nothing at all votes, every label is as likely as another.
        density[~np.isfinite(density).any(axis=1)] = 0.0
        voted = softmax(density, axis=1)
        chances = [
            voted,
            _with_unknown(evidence.by_vector, voted),
            _with_unknown(evidence.by_text, voted),
        ]
        with np.errstate(divide="ignore"):
            logs = [np.maximum(np.log(chance), _FLOOR) for chance in chances]
        return np.stack([*logs, np.broadcast_to(self.prior_correction, voted.shape)])

    def pooled(self, parts: Floats, evidence: ModelScores, none: int) -> Floats:
        """The score of each label, (b, k); each row sums to 1. One without any exemplar has
        none, whatever its pattern remembers: it was taken out of the vote."""
        mixed = np.tensordot(self.weights, parts, axes=1)
        voting = np.isfinite(evidence.log_density)
        mixed[~voting & voting.any(axis=1, keepdims=True)] = -np.inf
        pooled = np.asarray(softmax(mixed, axis=1))
        if np.isfinite(self.background):
            nearness = logsumexp(evidence.log_density + self.prior, axis=1)
            far = expit(NONE_STEEPNESS * (self.background - nearness))
            pooled *= (1 - far)[:, None]
            pooled[:, none] += far
        return pooled


def log_frequency(codes: Codes, labels: int) -> Floats:
    """Log frequency of each label, one row more each so that the unseen stay possible."""
    counts = np.bincount(codes[codes >= 0], minlength=labels) + 1.0
    return np.asarray(np.log(counts / counts.sum()))


def exemplar_prior(codes: Codes, described: npt.NDArray[np.bool_]) -> Floats:
    """Log frequency of each label among the exemplars; a ``rare_classes`` one's is that of the rarest
    other, as ``widened`` has it for labels newer than the fit."""
    prior = log_frequency(codes, len(described))
    few = rare_classes(codes, described)
    there = np.bincount(codes[codes >= 0], minlength=len(described)) > 0
    if few.any():
        prior[few] = prior[there & ~few].min()
    return prior


def _with_unknown(scores: Floats, voted: Floats) -> Floats:
    """Softmax of a pattern; a label it does not know keeps what the vote gives it."""
    # Asked row by row: cross-fitted rows come from patterns that lack different labels.
    unknown = np.isnan(scores)
    some = ~unknown.all(axis=1)
    chance = voted.copy()
    kept = np.where(unknown, voted, 0.0)[some]
    spread = softmax(np.where(unknown, -np.inf, scores)[some], axis=1)
    chance[some] = kept + spread * (1 - kept.sum(axis=1, keepdims=True))
    return chance


def _likeliest(parts: Floats, answers: Codes, usual: Floats, usual_rows: float) -> Floats:
    """Nonnegative weights of least log loss, drawn to the usual ones by so many rows."""
    rows = np.arange(len(answers))
    pull = usual_rows / len(answers)

    def loss(weights: Floats) -> tuple[float, Floats]:
        mixed = np.tensordot(weights, parts, axes=1)
        chances = log_softmax(mixed, axis=1)
        expected = np.exp(chances)
        slope = [
            (expected * part).sum(axis=1).mean() - part[rows, answers].mean() for part in parts
        ]
        away = weights - usual
        return (
            float(-chances[rows, answers].mean() + pull * (away @ away) / 2),
            np.array(slope) + pull * away,
        )

    found = minimize(loss, usual, jac=True, bounds=[(0, 3)] * len(usual), method="L-BFGS-B")
    return np.asarray(found.x, dtype=np.float64)


def _background(evidence: ModelScores, prior: Floats, none: int) -> float:
    if np.isfinite(evidence.log_density[:, none]).any():
        return -np.inf
    nearness = logsumexp(evidence.log_density + prior, axis=1)
    nearness = nearness[np.isfinite(nearness)]
    return float(np.quantile(nearness, NONE_QUANTILE)) if len(nearness) else -np.inf
