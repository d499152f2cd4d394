"""How much there is to learn from each waiting posting, before it is asked what it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Choices:
    """What the classifier makes of n waiting postings.

    ``category`` intp (n,) is the best category of each (-1: none yet), ``probability`` float (n,)
    the probability that it is right, and ``counts`` intp (k,) the exemplars that each has.
    """

    category: npt.NDArray[np.intp]
    probability: npt.NDArray[np.float64]
    counts: npt.NDArray[np.intp]


def teaching_weights(choices: Choices | None, n: int) -> npt.NDArray[np.float64]:
    """The weights (n,) of ``acquisition_order``: the square root of the probability that the best
    category is wrong, divided by one more than its exemplars.

    The root, because with few answers what is typical teaches more than what is uncertain; without
    it, and without any doubt at all, less was learned or no more (docs/labeling.md). All weights
    are 1 without any choice.
    """
    if choices is None:
        return np.ones(n)
    counts = np.append(choices.counts, 0)[choices.category]
    return np.asarray(np.sqrt((1 - choices.probability) / (1 + counts)))
