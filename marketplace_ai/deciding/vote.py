"""The vote of the exemplars: hybrid similarity, and how strongly each category answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

#: Weight of the text similarity beside the centred cosine.
TEXT_WEIGHT = 1.0
#: Sharpness of the softmax vote: an exemplar that is more similar by 0.1 counts e times
#: as much. Chosen on cross-fitted labelled postings; 8 to 14 do about as well.
SHARPNESS = 10.0


def hybrid(
    cosine: Floats, text: Floats, postings: Floats, exemplars: Floats, center: Floats
) -> Floats:
    """Similarity of b postings to n exemplars: mean of both kinds, float32 (b, n), up to 1.

    Vectors of an encoder share a large common part, ``center`` (d,); the cosine is taken
    after subtracting it. That needs no second matrix product: it follows from the plain
    cosines (b, n) and each side's product with the centre.
    """
    square = float(center @ center)
    left, right = postings @ center, exemplars @ center
    centered = cosine - left[:, None] - right[None, :] + square
    centered /= np.sqrt(np.maximum(1 - 2 * left + square, 1e-12))[:, None]
    centered /= np.sqrt(np.maximum(1 - 2 * right + square, 1e-12))[None, :]
    return np.asarray((centered + TEXT_WEIGHT * text) / (1 + TEXT_WEIGHT), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Vote:
    """How each label's exemplars answered each posting, before any prior.

    ``kernel`` float32 (b, n) is every exemplar's weight, relative to the posting's nearest;
    ``mass`` float64 (b, k) sums it by label; ``log_density`` float64 (b, k) is the log of
    the mean weight in a label, -inf for a label without exemplars; ``nearest`` float32 (b,)
    is the highest similarity.
    """

    kernel: Floats
    mass: npt.NDArray[np.float64]
    log_density: npt.NDArray[np.float64]
    nearest: Floats


def vote(similarity: Floats, codes: npt.NDArray[np.intp], labels: int) -> Vote:
    """Let n exemplars, labelled by ``codes`` (n,) in range(labels), vote on b postings.

    The mean, not the sum, over a label's exemplars: how many of them somebody collected
    says nothing about how often such postings come in; that is the prior's to say.
    """
    rows, exemplars = similarity.shape
    if not exemplars:
        empty = np.full((rows, labels), -np.inf)
        return Vote(similarity, np.zeros((rows, labels)), empty, np.full(rows, -1, np.float32))
    nearest = similarity.max(axis=1)
    scale = SHARPNESS * (1 + TEXT_WEIGHT)
    kernel = np.exp(scale * (similarity - nearest[:, None]))
    order = np.argsort(codes, kind="stable")
    present, starts, counts = np.unique(codes[order], return_index=True, return_counts=True)
    mass = np.zeros((rows, labels))
    mass[:, present] = np.add.reduceat(kernel[:, order], starts, axis=1, dtype=np.float64)
    log_density = np.full((rows, labels), -np.inf)
    with np.errstate(divide="ignore"):
        log_density[:, present] = (
            np.log(mass[:, present]) + scale * nearest[:, None] - np.log(counts)
        )
    return Vote(kernel, mass, log_density, nearest)
