"""Texts that mean the same: pairs of vectors nearer to each other than to what is around them.

A cosine alone does not tell a translation from another sentence about the same thing: where texts
are dense all cosines are high. So each is compared with the mean over both texts' neighbors (as in
cross-domain similarity local scaling: Conneau et al. 2018), but not the nearest of them, which may
be the family itself. Before, what all vectors share is taken out: their mean and the directions in
which they differ most (Mu and Viswanath 2018), which tell languages, lengths and templates apart
rather than meanings.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Codes = npt.NDArray[np.intp]

#: Directions taken out. On the training rows of families_massive pairs are found best with 8 to 16.
SHARED_DIRECTIONS = 8
#: Neighbors looked at. The nearer half may be the family; a pair is compared with the other half.
NEIGHBORS = 24
#: A neighbor is one of the nearest so many of all texts: among few, the 24th is far from any.
NEIGHBOR_SHARE = 0.1
#: How much more alike a pair must be than both with their neighbors, as a sum of two cosines. At
#: this value 77% of the found pairs of families_massive's training rows are true, and 41% of the
#: true ones are found; at 0.4 73% and 48%, but a third more of hwu64's rows are joined.
MARGIN = 0.5
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
    neighbors = min(NEIGHBORS, int(NEIGHBOR_SHARE * len(vectors)))
    if neighbors < 2:  # too few to know what is around a text
        return joined
    residuals = _residuals(vectors)
    pairs, crowding = _candidates(residuals, neighbors)
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


def _candidates(residuals: Floats, count: int) -> tuple[npt.NDArray[np.intp], Floats]:
    """Pairs (p, 2) of rows alike by more than the margin, most alike first, and how crowded each
    row (n,) is: its mean cosine with the farther half of its ``count`` nearest neighbors."""
    nearest = np.zeros((len(residuals), count), dtype=np.intp)
    cosines = np.zeros((len(residuals), count), dtype=np.float32)
    for start in range(0, len(residuals), _BLOCK):
        block = residuals[start : start + _BLOCK] @ residuals.T
        own = np.arange(len(block))
        block[own, start + own] = -np.inf
        found = np.argpartition(block, -count, axis=1)[:, -count:]
        nearest[start : start + _BLOCK] = found
        cosines[start : start + _BLOCK] = np.take_along_axis(block, found, axis=1)
    crowding = np.sort(cosines, axis=1)[:, : (count + 1) // 2].mean(axis=1)
    alike = 2 * cosines - crowding[:, None] - crowding[nearest]
    of, place = np.nonzero(alike > MARGIN)
    order = np.argsort(-alike[of, place], kind="stable")
    return np.column_stack([of, nearest[of, place]])[order], crowding
