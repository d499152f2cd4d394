"""What sets each category apart from all others: a linear pattern over vector and text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.svm import LinearSVC

Floats = npt.NDArray[np.float32]

#: The text features' weight beside the centred unit vector, and the inverse regularisation:
#: both on a plateau (1 to 2, and 0.5 to 2) of cross-fitted labelled postings.
TEXT_SCALE = 1.5
INVERSE_REGULARISATION = 1.0


@dataclass(frozen=True, eq=False)
class Pattern:
    """One linear machine a label: ``codes`` (m,) says which label each column belongs to.

    ``by_vector`` (d, m), ``by_gram`` (g, m) for the n-gram buckets listed in ``grams`` (g,),
    ``bias`` (m,). Weights are rounded to float16, as they are stored, before their first
    use, so that a stored pattern answers exactly as the one that was measured.
    """

    codes: npt.NDArray[np.int32]
    by_vector: Floats
    grams: npt.NDArray[np.int32]
    by_gram: Floats
    bias: Floats

    @classmethod
    def fit(
        cls, centered: Floats, texts: sp.csr_matrix, codes: npt.NDArray[np.intp], seed: int
    ) -> Pattern:
        """Fit on n exemplars: unit ``centered`` (n, d), text features (n, f), label codes.

        With fewer than two labels there is nothing to tell apart, and no column.
        """
        present = np.unique(codes)
        grams = np.unique(texts.indices).astype(np.int32)
        dimension = centered.shape[1]
        if len(present) < 2:
            return cls(
                np.zeros(0, np.int32),
                np.zeros((dimension, 0), np.float32),
                np.zeros(0, np.int32),
                np.zeros((0, 0), np.float32),
                np.zeros(0, np.float32),
            )
        machine = LinearSVC(C=INVERSE_REGULARISATION, random_state=seed, max_iter=2000)
        columns = sp.hstack([sp.csr_matrix(centered), TEXT_SCALE * texts[:, grams]]).tocsr()
        machine.fit(columns, codes)
        weights, bias = machine.coef_.T, machine.intercept_
        if len(present) == 2:  # one machine tells two labels apart; give each its own side
            weights, bias = np.hstack([-weights, weights]), np.concatenate([-bias, bias])
        half = weights.astype(np.float16).astype(np.float32)
        return cls(
            present.astype(np.int32),
            half[:dimension],
            grams,
            half[dimension:],
            bias.astype(np.float32),
        )

    def margins(self, centered: Floats, texts: sp.csr_matrix, labels: int) -> Floats:
        """Score b postings: float32 (b, labels); NaN for a label that has no column."""
        margins = np.full((centered.shape[0], labels), np.nan, dtype=np.float32)
        if len(self.codes):
            by_text = (TEXT_SCALE * texts[:, self.grams]) @ self.by_gram
            margins[:, self.codes] = centered @ self.by_vector + by_text + self.bias
        return margins


def center(vectors: Floats, mean: Floats) -> Floats:
    """Unit vectors (n, d) after subtracting the ``mean`` (d,)."""
    moved = vectors - mean
    norms = np.linalg.norm(moved, axis=1, keepdims=True)
    return np.asarray(moved / np.maximum(norms, 1e-12), dtype=np.float32)


def label_codes(labels: Sequence[str | None], names: Sequence[str | None]) -> npt.NDArray[np.intp]:
    """Positions of ``labels`` in ``names``, intp; -1 for a label that is not there."""
    position = {name: code for code, name in enumerate(names)}
    return np.array([position.get(label, -1) for label in labels], dtype=np.intp)
