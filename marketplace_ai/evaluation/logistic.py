"""Logistic regressions on the exemplars, tuned as one who believes in them would."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.linalg import cholesky, solve_triangular
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

Floats = npt.NDArray[np.float32]
Codes = npt.NDArray[np.intp]
Matrix = npt.NDArray[np.float32] | sp.csr_matrix

#: Inverse regularisation, for columns whose rows have a mean square length of about 1.
PATH = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
#: Steps along it without a better accuracy after which the rest is not tried.
PATIENCE = 2
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


@dataclass(frozen=True, slots=True)
class Scaling:
    """Vectors moved to their centre; each value scaled by its own spread, or all by one."""

    mean: Floats
    scale: Floats

    @classmethod
    def fit(cls, vectors: Floats, standardized: bool) -> Scaling:
        spread = vectors.std(axis=0)
        width = np.sqrt(len(spread))
        common = max(float(np.sqrt((spread**2).sum())), 1e-9)
        scale = np.maximum(spread * width, common * 1e-6) if standardized else common
        return cls(vectors.mean(axis=0), np.broadcast_to(np.float32(scale), spread.shape))

    def __call__(self, vectors: Floats) -> Floats:
        return np.asarray((vectors - self.mean) / self.scale, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Choice:
    """What cross-validation on the training rows chose, and its accuracy there."""

    c: float
    standardized: bool
    text_scale: float | None
    accuracy: float


class Logistic:
    """Two regressions on the same rows: ``chosen`` on vectors, ``chosen_both`` on text, too.

    ``vectors`` float32 (n, d), ``grams`` csr (n, g) of unit rows, ``codes`` (n,) the labels,
    ``held_out`` folds of row numbers (whole groups of near-duplicates).
    """

    def __init__(
        self, vectors: Floats, grams: sp.csr_matrix, codes: Codes, held_out: Sequence[Codes]
    ) -> None:
        self.vectors, self.codes = vectors, codes
        self.columns = np.unique(grams.indices)
        self.grams = grams[:, self.columns]
        self.held_out = held_out
        self.chosen = self._choose_vectors()
        self.chosen_both = self._choose_both()

    def scores(self, vectors: Floats, grams: sp.csr_matrix) -> tuple[Floats, Floats]:
        """Of b rows, by vectors and by both: (b, number of labels), columns by code."""
        train = self._design(self.vectors, self.grams, self.chosen)
        other = self._design(vectors, grams[:, self.columns], self.chosen)
        train_both = self._design(self.vectors, self.grams, self.chosen_both)
        other_both = self._design(vectors, grams[:, self.columns], self.chosen_both)
        return (
            next(fit_path(train, self.codes, other, (self.chosen.c,))),
            next(fit_path(train_both, self.codes, other_both, (self.chosen_both.c,))),
        )

    def _choose_vectors(self) -> Choice:
        forms = [Choice(0.0, standardized, None, 0.0) for standardized in (False, True)]
        return max((self._best(form) for form in forms), key=lambda choice: choice.accuracy)

    def _choose_both(self) -> Choice:
        def tried(scale: float) -> Choice:
            return self._best(Choice(0.0, self.chosen.standardized, scale, 0.0))

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

    def _best(self, form: Choice) -> Choice:
        """The best C of one form: accuracy on held-out rows; of equals the smallest."""
        design = self._design(self.vectors, self.grams, form)
        paths = []
        for fold in self.held_out:
            rest = np.setdiff1d(np.arange(len(self.codes)), fold)
            paths.append(fit_path(design[rest], self.codes[rest], design[fold], PATH))
        rows = max(sum(map(len, self.held_out)), 1)
        best, since = replace(form, c=PATH[0], accuracy=-1.0), 0
        for c, scored in zip(PATH, zip(*paths, strict=True), strict=False):
            right = sum(
                int((scores.argmax(axis=1) == self.codes[fold]).sum())
                for scores, fold in zip(scored, self.held_out, strict=True)
            )
            since += 1
            if right / rows > best.accuracy:
                best, since = replace(form, c=c, accuracy=right / rows), 0
            if since == PATIENCE:
                break
        return best

    def _design(self, vectors: Floats, grams: sp.csr_matrix, form: Choice) -> Matrix:
        scaled = Scaling.fit(self.vectors, form.standardized)(vectors)
        if form.text_scale is None:
            return scaled
        return sp.hstack([sp.csr_matrix(scaled), np.float32(form.text_scale) * grams]).tocsr()


def fit_path(train: Matrix, codes: Codes, other: Matrix, path: Sequence[float]) -> Iterator[Floats]:
    """Fit for each C of an ascending ``path``, each from where the last one ended.

    Yields the scores of the ``other`` rows for each: (b, max(codes) + 1), -inf for a code
    that no training row has.
    """
    present = np.unique(codes)
    labels = int(codes.max()) + 1
    if sp.issparse(train) and train.shape[0] <= COMPACT:
        train, other = compact(train, other)
    machine = LogisticRegression(warm_start=True, max_iter=_ITERATIONS)
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

    All dot products stay (up to a jitter of 1e-6), and with them every linear model with a
    squared penalty: its weights lie in the span of the training rows.
    """
    gram = (train @ train.T).toarray().astype(np.float64)
    gram[np.diag_indices_from(gram)] += 1e-6 * max(float(np.trace(gram)) / len(gram), 1e-6)
    lower = cholesky(gram, lower=True)
    others = solve_triangular(lower, (train @ other.T).toarray().astype(np.float64), lower=True)
    return lower.astype(np.float32), np.ascontiguousarray(others.T, dtype=np.float32)
