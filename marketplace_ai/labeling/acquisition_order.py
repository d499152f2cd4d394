"""The acquisition order: which of the waiting postings to answer next, so that answers teach most.

Active learning by uncertainty herding (Bae et al. 2025): the next posting is the one that speaks
for the most doubt, its own and that of the postings like it, which no answer before it speaks for.
So a posting comes early that is uncertain, typical of many, and unlike what was asked already; the
same posting twice gains nothing. Without any prediction all are equally uncertain, and the order is
that of the most typical.
"""

from __future__ import annotations

import heapq

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

#: How fast a posting ceases to speak for others that are less like it: the power of the cosine
#: between vectors from which the mean is taken. (``make bench ONLY="labels next: "``)
SIMILARITY_POWER = 2.0
#: A gain below this share of all doubt is none: what rounding leaves of a posting's second copy.
_LEAST_GAIN = 1e-6
_BLOCK = 512


def acquisition_order(
    vectors: Floats,
    weights: npt.NDArray[np.float64],
    labeled: Floats,
    count: int,
) -> npt.NDArray[np.intp]:
    """The ``count`` of n waiting postings to answer first, in order: their positions, (count,).

    Parameters:
        vectors: float32 (n, d), of the waiting ones; only directions from their mean matter.
        weights: float (n,), how much there is to learn from each (``teaching_weights``); only
            their proportions matter.
        labeled: float32 (m, d), of what is labeled already and speaks for the postings like it.
        count: at most n are returned.

    Takes n * n * 4 bytes. Raises ValueError for weights that are negative or not finite.
    """
    if len(weights) != len(vectors) or not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError("each waiting posting needs a weight, finite and not negative")
    if not len(vectors):
        return np.zeros(0, dtype=np.intp)
    mean = np.asarray(vectors, dtype=np.float32).mean(axis=0)
    waiting = _directions(vectors, mean)
    similarity = _similarity(waiting, waiting)
    spoken_for = _nearest(waiting, _directions(labeled, mean))
    share = np.asarray(weights / max(float(weights.sum()), 1e-300), dtype=np.float32)
    return _greedy(similarity, share, spoken_for, min(count, len(vectors)))


def _greedy(
    similarity: Floats, share: Floats, spoken_for: Floats, count: int
) -> npt.NDArray[np.intp]:
    """Take the posting with the greatest gain until there are ``count``.

    A gain only shrinks as others are taken (it is submodular), so most need not be computed again
    (lazy greedy, Minoux 1978).
    """
    heap = [
        (-_gain(similarity[place], share, spoken_for), place) for place in range(len(similarity))
    ]
    heapq.heapify(heap)
    taken: list[int] = []
    while len(taken) < count:
        _, place = heapq.heappop(heap)
        gain = _gain(similarity[place], share, spoken_for)
        if heap and (-gain, place) > heap[0]:
            heapq.heappush(heap, (-gain, place))
            continue
        taken.append(place)
        np.maximum(spoken_for, similarity[place], out=spoken_for)
    return np.array(taken, dtype=np.intp)


def _gain(similarity: Floats, share: Floats, spoken_for: Floats) -> float:
    gain = float(np.maximum(similarity - spoken_for, 0) @ share)
    return gain if gain > _LEAST_GAIN else 0.0


def _directions(vectors: Floats, mean: Floats) -> Floats:
    """Unit vectors from the mean; zero for a vector that is the mean."""
    centered = np.asarray(vectors, dtype=np.float32) - mean
    norms = np.linalg.norm(centered, axis=1, keepdims=True)
    return np.asarray(np.where(norms > 1e-6, centered / np.maximum(norms, 1e-6), 0.0), np.float32)


def _similarity(one: Floats, other: Floats) -> Floats:
    return np.asarray(np.clip(one @ other.T, 0, 1) ** SIMILARITY_POWER, dtype=np.float32)


def _nearest(waiting: Floats, labeled: Floats) -> Floats:
    """How far each waiting posting is spoken for by the labeled one that is most like it."""
    nearest = np.zeros(len(waiting), dtype=np.float32)
    for start in range(0, len(labeled), _BLOCK):
        block = _similarity(waiting, labeled[start : start + _BLOCK])
        np.maximum(nearest, block.max(axis=1), out=nearest)
    return nearest
