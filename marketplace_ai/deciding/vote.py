"""The vote of the exemplars: hybrid similarity, and how strongly each category answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

Floats = npt.NDArray[np.float32]

#: Weight of the text similarity beside the cosine. The text has a pattern of its own too
#: (``pattern``), so it needs less weight here than it would alone.
TEXT_WEIGHT = 0.3
#: Sharpness of the softmax vote: an exemplar whose cosine is higher by 1/16 counts e times
#: as much. Both are on a plateau of cross-fitted log loss on four sets (8 to 24; 0.2 to 1).
SHARPNESS = 16.0


def hybrid(cosine: Floats, text: Floats) -> Floats:
    """Mean of both similarities (b, n), the text weighing ``TEXT_WEIGHT``: up to 1."""
    mixed = TEXT_WEIGHT * text
    mixed += cosine
    mixed /= 1 + TEXT_WEIGHT
    return np.asarray(mixed, dtype=np.float32)


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
    kernel = similarity - nearest[:, None]
    kernel *= scale
    np.exp(kernel, out=kernel)
    ones = np.ones(exemplars, dtype=np.float32)
    by_label = sp.csc_matrix((ones, codes, np.arange(exemplars + 1)), shape=(labels, exemplars))
    mass = np.asarray((by_label @ kernel.T).T, dtype=np.float64)
    counts = np.bincount(codes, minlength=labels)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_density = np.log(mass) + scale * nearest[:, None] - np.log(counts)
    log_density[:, counts == 0] = -np.inf
    return Vote(kernel, mass, log_density, nearest)
