"""Texts that mean the same: pairs of vectors nearer to each other than to what is around them.

A cosine alone does not tell a translation from another sentence about the same thing: where texts
are dense all cosines are high. So each is compared with the mean of both texts' nearest neighbors
(cross-domain similarity local scaling: Conneau et al. 2018), after what all vectors share is taken
out: their mean and the directions in which they differ most (Mu and Viswanath 2018), which tell
languages, lengths and templates apart rather than meanings.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Codes = npt.NDArray[np.intp]

#: Directions taken out. On the training rows of families_massive pairs are found best with 8 to 16.
SHARED_DIRECTIONS = 8
#: Neighbors that a pair is compared with.
NEIGHBORS = 10
#: How much more alike a pair must be than both with their neighbors, as a sum of two cosines. At
#: this value 82% of the found pairs of families_massive's training rows are true, and 45% of the
#: true ones are found; half of it finds 51%, twice as much 35%.
MARGIN = 0.1
_BLOCK = 256


def join_by_meaning(
    vectors: Floats, groups: Codes, largest: int, apart: npt.NDArray[np.bool_]
) -> Codes:
    """Join ``groups`` (n,) of texts that mean the same: intp (n,), numbers of the joined groups.

    ``vectors``: unit vectors (n, d). Groups grow by average linkage, the most alike first: two are
    joined if their texts are alike on average, and they have at most ``largest`` together. So no
    chain of pairs joins what is not alike. Two groups with a text that is to stay ``apart``, bool
    (n,), in each are not joined.
    """
    _, joined = np.unique(groups, return_inverse=True)
    if len(vectors) < 2:
        return joined
    residuals = _residuals(vectors)
    pairs, crowding = _candidates(residuals)
    # A group is its rows, the sum of their vectors and the sum of their crowding.
    order = np.argsort(joined, kind="stable")
    starts = np.flatnonzero(np.diff(joined[order], prepend=-1))
    rows = dict(enumerate(np.split(order, starts[1:])))
    sums = dict(enumerate(np.add.reduceat(residuals[order], starts)))
    crowded = np.add.reduceat(crowding[order].astype(np.float64), starts)
    is_apart = np.logical_or.reduceat(apart[order], starts)
    for one, other in pairs:
        a, b = joined[one], joined[other]
        if a == b or (is_apart[a] and is_apart[b]):
            continue
        size = len(rows[a]), len(rows[b])
        cosine = float(sums[a] @ sums[b]) / (size[0] * size[1])
        alike = 2 * cosine - crowded[a] / size[0] - crowded[b] / size[1]
        if sum(size) > largest or alike <= MARGIN:
            continue
        joined[rows[b]] = a
        rows[a] = np.concatenate([rows[a], rows.pop(b)])
        sums[a] = sums[a] + sums.pop(b)
        crowded[a] += crowded[b]
        is_apart[a] |= is_apart[b]
    return joined


def _residuals(vectors: Floats) -> Floats:
    """The vectors without their mean and the directions in which they differ most, unit length."""
    centered = vectors - vectors.mean(axis=0)
    _, directions = np.linalg.eigh((centered.T @ centered).astype(np.float64))
    # A few texts have no directions to spare.
    count = min(SHARED_DIRECTIONS, len(vectors) // 10)
    shared = directions[:, directions.shape[1] - count :].astype(np.float32)
    centered -= centered @ shared @ shared.T
    lengths = np.linalg.norm(centered, axis=1, keepdims=True)
    return np.asarray(centered / np.maximum(lengths, 1e-6), dtype=np.float32)


def _candidates(residuals: Floats) -> tuple[npt.NDArray[np.intp], Floats]:
    """Pairs (p, 2) of rows alike by more than the margin, most alike first, and how crowded each
    row (n,) is: its mean cosine with its nearest neighbors."""
    count = min(NEIGHBORS, len(residuals) - 1)
    nearest = np.zeros((len(residuals), count), dtype=np.intp)
    cosines = np.zeros((len(residuals), count), dtype=np.float32)
    for start in range(0, len(residuals), _BLOCK):
        block = residuals[start : start + _BLOCK] @ residuals.T
        own = np.arange(len(block))
        block[own, start + own] = -np.inf
        found = np.argpartition(block, -count, axis=1)[:, -count:]
        nearest[start : start + _BLOCK] = found
        cosines[start : start + _BLOCK] = np.take_along_axis(block, found, axis=1)
    crowding = cosines.mean(axis=1)
    alike = 2 * cosines - crowding[:, None] - crowding[nearest]
    of, place = np.nonzero(alike > MARGIN)
    order = np.argsort(-alike[of, place], kind="stable")
    return np.column_stack([of, nearest[of, place]])[order], crowding
