"""Baseline: logistic regressions on the exemplars, tuned by cross-validation."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from marketplace_ai.classifier.nystrom import NystromBasis

Floats = npt.NDArray[np.float32]
Codes = npt.NDArray[np.intp]
#: Dense or csr, float32.
Matrix: TypeAlias = "npt.NDArray[np.float32] | sp.csr_matrix"

#: Inverse regularisation, for columns whose rows have a mean square length of about 1.
PATH = (1.0, 4.0, 16.0, 64.0, 256.0, 1024.0)
#: Steps along it without a better accuracy after which the rest is not tried, on sets of more
#: rows than ``ONE_FOLD_FROM``; on smaller ones, where accuracy wavers, all are tried.
PATIENCE = 1
#: Weight of the text features (unit rows) beside the vectors: tried from 1 on, doubled and
#: halved as long as that helps, within these bounds.
TEXT_SCALES = (0.125, 8.0)
FOLDS = 3
#: With more rows than this one fold decides: it holds more rows than all folds of a smaller
#: set, and each fit takes seconds to minutes.
ONE_FOLD_FROM = 5_000
#: Up to this many rows, sparse columns are first turned into as few dense ones.
COMPACT = 3_000
_ITERATIONS = 300
# Scikit-learn's own 1e-4 is meant for values of about 1; here rows are, so values are smaller.
_TOLERANCE = 1e-5


@dataclass(frozen=True, slots=True)
class Scaling:
    """Vectors moved to their centre, each value divided by its own spread: rows of a mean
    square length of 1. (One divisor for all values does as well and fits far slower.)"""

    mean: Floats
    scale: Floats

    @classmethod
    def fit(cls, vectors: Floats) -> Scaling:
        spread = vectors.std(axis=0) * np.sqrt(vectors.shape[1])
        # A value that never moves says nothing; it must not be blown up to noise.
        return cls(vectors.mean(axis=0), np.where(spread > 1e-6, spread, np.inf))

    def __call__(self, vectors: Floats) -> Floats:
        return np.asarray((vectors - self.mean) / self.scale, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """What cross-validation on the training rows chose, and its accuracy there."""

    c: float
    text_scale: float | None
    accuracy: float


class Logistic:
    """Two regressions on the same rows: ``chosen`` on vectors, ``chosen_both`` on text, too.

    ``vectors`` float32 (n, d), ``grams`` csr (n, g) of unit rows, ``codes`` (n,) the labels,
    ``held_out`` folds of row numbers (whole families).
    """

    def __init__(
        self, vectors: Floats, grams: sp.csr_matrix, codes: Codes, held_out: Sequence[Codes]
    ) -> None:
        self.scaling = Scaling.fit(vectors)
        self.vectors, self.codes = self.scaling(vectors), codes
        # What stands in one text alone sets nothing apart, and is most of the columns.
        self.columns = np.flatnonzero(np.bincount(grams.indices, minlength=grams.shape[1]) > 1)
        self.grams = grams[:, self.columns]
        self.held_out = held_out
        self.chosen = self._best(Hyperparameters(0.0, None, 0.0))
        self.chosen_both = self._choose_both()

    def scores(self, vectors: Floats, grams: sp.csr_matrix) -> tuple[Floats, Floats]:
        """Of b rows, by vectors and by both: (b, number of labels), columns by code."""
        vectors, grams = self.scaling(vectors), grams[:, self.columns]

        def fitted(chosen: Hyperparameters) -> Floats:
            train = _design(self.vectors, self.grams, chosen.text_scale)
            other = _design(vectors, grams, chosen.text_scale)
            return next(fit_path(train, self.codes, other, (chosen.c,)))

        return fitted(self.chosen), fitted(self.chosen_both)

    def _choose_both(self) -> Hyperparameters:
        if len(self.codes) <= ONE_FOLD_FROM:
            return self._search(None)
        # Each fit on all rows takes minutes: find the place on fewer, then ask all rows
        # whether, being more, they trust their text more.
        rough = self._search(COMPACT)
        scale = rough.text_scale or 1.0
        finalists = (replace(rough, text_scale=factor * scale) for factor in (1.0, 2.0))
        return max(
            (self._best(form, (rough.c,)) for form in finalists),
            key=lambda choice: choice.accuracy,
        )

    def _search(self, at_most: int | None) -> Hyperparameters:
        """Weight 1 for the text, then doubled or halved as long as that helps."""

        def tried(scale: float) -> Hyperparameters:
            return self._best(Hyperparameters(0.0, scale, 0.0), PATH, at_most)

        start = best = tried(1.0)
        for factor in (2.0, 0.5):
            if best is not start:
                break  # doubling helped, so halving would not
            scale = factor
            while TEXT_SCALES[0] <= scale <= TEXT_SCALES[1]:
                found = tried(scale)
                if found.accuracy <= best.accuracy:
                    break
                best, scale = found, scale * factor
        return best

    def _best(
        self, form: Hyperparameters, path: Sequence[float] = PATH, at_most: int | None = None
    ) -> Hyperparameters:
        """The C of ``path`` that is best on held-out rows, of equals the smallest.

        ``at_most``: fit on so many of the other rows only, drawn at random.
        """
        design = _design(self.vectors, self.grams, form.text_scale)
        paths = []
        for fold in self.held_out:
            rest = np.setdiff1d(np.arange(len(self.codes)), fold)
            if at_most is not None:
                rest = np.random.default_rng(0).permutation(rest)[:at_most]
            paths.append(fit_path(design[rest], self.codes[rest], design[fold], path))
        rows = max(sum(map(len, self.held_out)), 1)
        best, since = replace(form, c=path[0], accuracy=-1.0), 0
        for c, scored in zip(path, zip(*paths, strict=True), strict=False):
            right = sum(
                int((scores.argmax(axis=1) == self.codes[fold]).sum())
                for scores, fold in zip(scored, self.held_out, strict=True)
            )
            since += 1
            if right / rows > best.accuracy:
                best, since = replace(form, c=c, accuracy=right / rows), 0
            if since == PATIENCE and len(self.codes) > ONE_FOLD_FROM:
                break
        return best


def _design(scaled: Floats, grams: sp.csr_matrix, text_scale: float | None) -> Matrix:
    if text_scale is None:
        return scaled
    both: Matrix = sp.hstack([sp.csr_matrix(scaled), np.float32(text_scale) * grams]).tocsr()
    return both


def fit_path(train: Matrix, codes: Codes, other: Matrix, path: Sequence[float]) -> Iterator[Floats]:
    """Fit for each C of an ascending ``path``, each from where the last one ended.

    Yields the scores of the ``other`` rows for each: (b, max(codes) + 1), -inf for a code
    that no training row has.
    """
    present = np.unique(codes)
    labels = int(codes.max()) + 1
    if sp.issparse(train) and train.shape[0] <= COMPACT:
        train, other = compact(train, other)
    machine = LogisticRegression(warm_start=True, max_iter=_ITERATIONS, tol=_TOLERANCE)
    for c in path:
        scores = np.full((other.shape[0], labels), -np.inf, dtype=np.float32)
        if len(present) < 2:
            scores[:, present] = 0.0
            yield scores
            continue
        machine.set_params(C=c)
        with warnings.catch_warnings():
            # The last percent of a loosely bounded optimum changes no first choice.
            warnings.simplefilter("ignore", ConvergenceWarning)
            machine.fit(train, codes)
        decided = np.asarray(machine.decision_function(other), dtype=np.float32)
        if len(present) == 2:
            decided = np.column_stack([-decided, decided])
        scores[:, present] = decided
        yield scores


def compact(train: sp.csr_matrix, other: sp.csr_matrix) -> tuple[Floats, Floats]:
    """The same rows in as many dense columns as there are training rows.

    All dot products stay (up to a jitter of 1e-5), and with them every linear model with a
    squared penalty: its weights lie in the span of the training rows.
    """
    exact = train.astype(np.float64)
    mean_square = float(exact.multiply(exact).sum()) / exact.shape[0]
    basis = NystromBasis.fit(exact, jitter=1e-5 * max(mean_square, 1e-6))
    others = np.ascontiguousarray(basis.project(other), dtype=np.float32)
    return basis.factor.astype(np.float32), others
