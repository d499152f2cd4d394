"""Coordinates of sparse rows in the span of a sample of rows (the Nyström method)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.linalg import solve_triangular

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class NystromBasis:
    """An orthonormal basis of the span of ``sample`` (s, f), as a Cholesky factor (s, s).

    A linear model with a squared penalty has its weights in the span of its rows (the
    representer theorem: Kimeldorf and Wahba 1971), so it can be fitted on s coordinates instead
    of f features; with a sample of the rows approximately (Williams and Seeger 2001).
    """

    sample: sp.csr_matrix
    factor: Floats

    @classmethod
    def fit(cls, sample: sp.csr_matrix, jitter: float) -> NystromBasis:
        """``jitter`` is added to the squared lengths: equal rows span one direction only."""
        gram = (sample @ sample.T).toarray().astype(np.float64)
        gram[np.diag_indices_from(gram)] += jitter
        return cls(sample, np.linalg.cholesky(gram))

    def project(self, rows: sp.csr_matrix) -> Floats:
        """Coordinates (n, s) of ``rows`` (n, f); dot products with the sample are preserved."""
        products = (self.sample @ rows.T).toarray()
        return np.asarray(solve_triangular(self.factor, products, lower=True).T)

    def lift(self, weights: Floats) -> Floats:
        """Weights (f, m) over the features that equal ``weights`` (s, m) over coordinates."""
        back = solve_triangular(self.factor, weights, lower=True, trans="T")
        return np.asarray(self.sample.T @ back)
