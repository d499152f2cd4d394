"""Linear heads: one-vs-rest linear classifiers over vectors and over n-grams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression

from marketplace_ai.classifier.ngrams import BUCKETS, ClauseFeatures
from marketplace_ai.guarantee import minimum_counts

from .nystrom import NystromBasis

Floats = npt.NDArray[np.float32]

#: Inverse regularization of the logistic regressions on unit rows. Factors of 3 up or down
#: change cross-fitted log loss little once the opinion pool has weighted both.
VECTOR_C, TEXT_C = 10.0, 30.0
#: Exemplars in the basis of the text head; more cost time and hardly gain accuracy.
MAX_BASIS_ROWS = 2000
#: More exemplars of one class than this cost time and gain nothing.
MAX_EXEMPLARS_PER_CLASS = 1000


@dataclass(frozen=True, eq=False)
class LinearScores:
    """Linear scores of m classes over f inputs: ``weights`` float32 (f, m), ``bias`` (m,).

    Weights are rounded to float16, as they are stored, before their first use, so that a
    stored head predicts exactly as the one that was measured.
    """

    weights: Floats
    bias: Floats

    @classmethod
    def fit(
        cls, rows: Floats, codes: npt.NDArray[np.intp], inverse_regularization: float
    ) -> LinearScores:
        """Multinomial logistic regression on ``rows`` (n, f); codes (n,) in range(m), m > 1."""
        regression = LogisticRegression(C=inverse_regularization, max_iter=200, tol=1e-3)
        regression.fit(rows, codes)
        weights, bias = regression.coef_.T, regression.intercept_
        if weights.shape[1] == 1:  # one column separates two classes; each gets its own
            weights, bias = np.hstack([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
        return cls(_stored(weights), np.asarray(bias, dtype=np.float32))

    @classmethod
    def fit_text(cls, texts: sp.csr_matrix, codes: npt.NDArray[np.intp], seed: int) -> LinearScores:
        """The same on text features (n, g), fitted on coordinates in the span of a sample of
        their rows, so that a few thousand inputs stand for all n-grams."""
        rows = np.arange(texts.shape[0])
        if len(rows) > MAX_BASIS_ROWS:
            rows = np.sort(np.random.default_rng(seed).permutation(rows)[:MAX_BASIS_ROWS])
        basis = NystromBasis.fit(texts[rows], jitter=1e-4)
        coordinates = np.ascontiguousarray(basis.project(texts), np.float32)
        fitted = cls.fit(coordinates, codes, TEXT_C)
        return cls(_stored(basis.lift(fitted.weights.astype(np.float64))), fitted.bias)


@dataclass(frozen=True, eq=False)
class LinearHeads:
    """Linear heads by vector, over d dimensions, and by text, over the n-grams ``grams`` (g,).

    ``codes`` (m,) are the classes of their columns.
    """

    codes: npt.NDArray[np.int32]
    grams: npt.NDArray[np.int32]
    by_vector: LinearScores
    by_text: LinearScores

    @classmethod
    def fit(
        cls,
        centered: Floats,
        texts: sp.csr_matrix,
        codes: npt.NDArray[np.intp],
        rare: npt.NDArray[np.bool_],
        seed: int,
    ) -> LinearHeads:
        """Fit on n exemplars: unit ``centered`` (n, d), text features (n, f), label codes.

        A class that is ``rare`` (k,) (see ``rare_classes``) gets no column. There are no columns at
        all with fewer than two classes left.
        """
        rows = _capped(codes, seed)
        rows = rows[~rare[codes[rows]]]
        present, columns = np.unique(codes[rows], return_inverse=True)
        if len(present) < 2:
            return cls.nothing(centered.shape[1])
        texts = texts[rows]
        grams = np.unique(texts.indices).astype(np.int32)
        by_vector = LinearScores.fit(centered[rows], columns, VECTOR_C)
        by_text = LinearScores.fit_text(texts[:, grams], columns, seed)
        return cls(present.astype(np.int32), grams, by_vector, by_text)

    @classmethod
    def nothing(cls, dimension: int) -> LinearHeads:
        """No columns, for vectors of this dimension: every class is scored by the vote alone."""
        no_codes = np.zeros(0, np.int32)
        return cls(no_codes, no_codes, _empty(dimension), _empty(0))

    def scores(self, centered: Floats, texts: sp.csr_matrix, labels: int) -> tuple[Floats, Floats]:
        """Score b postings by vector and by text: float32 (b, labels) each; NaN for a label
        that has no column."""
        both = tuple(np.full((len(centered), labels), np.nan, np.float32) for _ in range(2))
        if len(self.codes):
            both[0][:, self.codes] = centered @ self.by_vector.weights + self.by_vector.bias
            # Look up the few n-grams of the postings, not the many of the heads.
            place = np.full(BUCKETS, -1)
            place[self.grams] = np.arange(len(self.grams))
            seen = np.unique(texts.indices)
            seen = seen[place[seen] >= 0]
            weights = self.by_text.weights[place[seen]]
            both[1][:, self.codes] = texts[:, seen] @ weights + self.by_text.bias
        return both[0], both[1]

    def clause_scores(
        self, features: ClauseFeatures, labels: npt.NDArray[np.intp]
    ) -> npt.NDArray[np.float64]:
        """What each of the p clauses of b texts adds to its text's scores for a few classes.

        ``labels`` intp (b, c): classes to score for each text. Returns float64 (p, c); NaN
        for a label that has no column.
        """
        scores = np.full((len(features.owner), labels.shape[1]), np.nan)
        if not len(self.codes):
            return scores
        column = np.full(max(labels.max(initial=0), self.codes.max()) + 1, -1)
        column[self.codes] = np.arange(len(self.codes))
        asked = np.where(labels < 0, -1, column[labels])
        place = np.full(BUCKETS, -1)
        place[self.grams] = np.arange(len(self.grams))
        weights, parts = features.weights, features.parts
        first = np.searchsorted(features.owner, np.arange(len(labels) + 1))
        # A text at a time: the contributions of its n-grams stay in the processor's cache while
        # its clauses look them up.
        contributions = np.zeros((BUCKETS, labels.shape[1]), dtype=np.float32)
        for text in np.flatnonzero((asked >= 0).any(axis=1) & (np.diff(first) > 0)):
            own = slice(weights.indptr[text], weights.indptr[text + 1])
            grams, rows = weights.indices[own], place[weights.indices[own]]
            values = np.where(rows >= 0, weights.data[own], 0)
            contributions[grams] = (
                values[:, None] * self.by_text.weights[rows[:, None], asked[text]]
            )
            start, end = first[text : text + 2]
            ends = parts.indptr[start : end + 1]
            span = slice(ends[0], ends[-1])
            # Every clause has a word, and so n-grams: no sum is empty.
            scores[start:end] = np.add.reduceat(
                parts.data[span, None] * contributions[parts.indices[span]], ends[:-1] - ends[0]
            )
            scores[start:end, asked[text] < 0] = np.nan
        return scores


def to_class_ids(labels: Sequence[str | None], names: Sequence[str | None]) -> npt.NDArray[np.intp]:
    """Positions of ``labels`` in ``classes``, intp; -1 for a label that is no class."""
    position = {name: code for code, name in enumerate(names)}
    return np.array([position.get(label, -1) for label in labels], dtype=np.intp)


def rare_classes(
    codes: npt.NDArray[np.intp], described: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Classes that have too few exemplars for linear heads, bool (k,).

    A class with a description (``described`` (k,)) needs ``MIN_EXEMPLARS_FOR_HEAD``: its
    description proposes it better than a head that has seen a few of its postings, and heads of
    some classes take from all others. (On the demo's catalog with 1 to 10 exemplars a category,
    heads of all cost up to 19 points of first choice.)

    Without a description too few are fewer than ``MIN_EXEMPLARS_FOR_HEAD_UNDESCRIBED``, and fewer
    than half of the median class's. Heads fitted on so few among so many hardly ever choose the
    class, and would lower the score that the vote gives it. None of these is rare if fewer than
    two others would be left.
    """
    counts = np.bincount(codes[codes >= 0], minlength=len(described))
    present = counts > 0
    if not present.any():
        return np.zeros(len(described), dtype=np.bool_)
    new = present & described & (counts < minimum_counts.MIN_EXEMPLARS_FOR_HEAD)
    minimum = min(np.median(counts[present]) / 2, minimum_counts.MIN_EXEMPLARS_FOR_HEAD_UNDESCRIBED)
    few = present & ~described & (counts < minimum)
    if (present & ~new & ~few).sum() < 2:
        return np.asarray(new)
    return np.asarray(new | few)


def _capped(codes: npt.NDArray[np.intp], seed: int) -> npt.NDArray[np.intp]:
    counts = np.bincount(codes) if len(codes) else np.zeros(0, np.intp)
    if not len(counts) or counts.max() <= MAX_EXEMPLARS_PER_CLASS:
        return np.arange(len(codes))
    order = np.random.default_rng(seed).permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    rank = np.arange(len(codes)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.sort(order[rank < MAX_EXEMPLARS_PER_CLASS])


def _stored(weights: npt.NDArray[np.floating]) -> Floats:
    return np.asarray(weights, dtype=np.float16).astype(np.float32)


def _empty(inputs: int) -> LinearScores:
    return LinearScores(np.zeros((inputs, 0), np.float32), np.zeros(0, np.float32))
