"""How often each category comes now, from probabilities that were calibrated for another time.

The method is that of Saerens, Latinne and Decaestecker (Adjusting the outputs of a classifier to
new a priori probabilities, Neural Computation 14, 2002): an EM over unlabeled postings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: It has converged long before; this bounds the loop.
MAX_STEPS = 200
#: No share changes by more than this in the last step.
TOLERANCE = 1e-4
_LEAST = 1e-12


def posteriors(
    choices: Sequence[Sequence[tuple[str, float]]], keys: Sequence[str]
) -> NDArray[np.float64]:
    """The probability of each of ``keys`` for each posting, float64 (n, k + 1).

    ``choices`` has (key, probability) of a posting's best categories. What they leave over, and
    what is of no key of ``keys``, is the last column, so that each row sums to 1.
    """
    columns = {key: column for column, key in enumerate(keys)}
    table = np.zeros((len(choices), len(keys) + 1))
    for row, best in enumerate(choices):
        for key, probability in best:
            if key in columns:
                table[row, columns[key]] = probability
        table[row] /= max(1.0, table[row].sum())
    table[:, -1] = 1 - table[:, :-1].sum(axis=1)
    return np.clip(table, 0.0, 1.0)


def estimate_shares(now: NDArray[np.float64], before: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share of each class among the postings of ``now``.

    ``now`` (n, k) are probabilities of a classifier for which the classes had the shares
    ``before`` (k,). Each step weighs them by the shares found so far, and takes their means.
    """
    prior: NDArray[Any] = np.maximum(before, _LEAST)
    ratio = now / prior
    for _ in range(MAX_STEPS):
        weighed = ratio * prior
        weighed /= np.maximum(weighed.sum(axis=1, keepdims=True), _LEAST)
        found = weighed.mean(axis=0)
        change = np.abs(found - prior).max()
        prior = np.maximum(found, _LEAST)
        if change < TOLERANCE:
            break
    return np.asarray(prior / prior.sum())
