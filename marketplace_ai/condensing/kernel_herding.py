"""Kernel herding: the votes of a category in an order of which every beginning stands for all.

The score of a category is the mean of a kernel over its votes. Kernel herding (Chen, Welling and
Smola 2010) takes one vote after the other, each time the one that brings the mean over those taken
nearest to the mean over all. So the first hundred are spread as the thousands are: dense where
these are dense, and no text twice.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from marketplace_ai.classifier.exemplar_model import ExemplarModel
from marketplace_ai.classifier.labeled import LabeledTexts
from marketplace_ai.classifier.vote import hybrid, relative_kernel

Codes = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float32]

#: Votes compared with each other at a time: 16 MB of similarities. A category with more is dealt
#: out into so many parts at random, which take turns.
_PART = 2048
_BLOCK = 256


def herding_ranks(
    model: ExemplarModel,
    exemplars: LabeledTexts,
    codes: Codes,
    seed: int,
    progress: Callable[[int], None],
) -> Codes:
    """The place, from 0 on, of each of n votes among those of its category ``codes`` (n,).

    Compared as the vote does it, with the metric and the n-gram weights of ``model``. ``progress``
    is called with the number of votes placed since the last call.
    """
    ranks = np.zeros(len(codes), dtype=np.intp)
    random = np.random.default_rng(seed)
    for code in np.unique(codes):
        rows = np.flatnonzero(codes == code)
        parts = np.array_split(random.permutation(rows), -(-len(rows) // _PART))
        for turn, part in enumerate(parts):
            rows = np.sort(part)  # equal ones in their own order
            order = herding_order(_kernels(model, exemplars.take(rows)))
            ranks[rows[order]] = np.arange(len(rows)) * len(parts) + turn
            progress(len(rows))
    return ranks


def herding_order(kernels: Floats) -> Codes:
    """The order in which herding takes n rows, by their kernels with each other (n, n)."""
    rows = len(kernels)
    mean = kernels.mean(axis=1, dtype=np.float64)
    taken = np.zeros(rows)
    left = np.ones(rows, dtype=np.bool_)
    order = np.zeros(rows, dtype=np.intp)
    for place in range(rows):
        gain = np.where(left, (place + 1) * mean - taken, -np.inf)
        order[place] = best = int(gain.argmax())
        left[best] = False
        taken += kernels[best]
    return order


def _kernels(model: ExemplarModel, votes: LabeledTexts) -> Floats:
    """The weight of each of n votes for each, (n, n): 1 for equal ones."""
    index = model.index(votes)
    grams = index.grams
    similarity = np.vstack(
        [
            hybrid(
                *index.compare(votes.vectors[start : start + _BLOCK], grams[start : start + _BLOCK])
            )
            for start in range(0, len(votes), _BLOCK)
        ]
    )
    return relative_kernel(similarity, np.ones(len(votes), dtype=np.float32))
