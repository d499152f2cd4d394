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
    ``mass`` float64 (b, k) sums it by label over exemplars, ``words`` over descriptions;
    ``log_density`` float64 (b, k) is the log of the mean weight in a label (see ``vote`` for
    one with a description), -inf for a label without exemplars; ``nearest`` float32 (b,) is
    the highest similarity.
    """

    kernel: Floats
    mass: npt.NDArray[np.float64]
    words: npt.NDArray[np.float64]
    log_density: npt.NDArray[np.float64]
    nearest: Floats


def vote(
    similarity: Floats,
    codes: npt.NDArray[np.intp],
    labels: int,
    described: npt.NDArray[np.bool_] | None = None,
) -> Vote:
    """Let n exemplars, labelled by ``codes`` (n,) in range(labels), vote on b postings.

    The mean, not the sum, over a label's exemplars: how many of them somebody collected
    says nothing about how often such postings come in; that is the prior's to say.

    ``described`` (n,) says which are descriptions (None: none is). Beside exemplars of its
    label a description has half the say: the label's log density is the mean of both. A few
    postings are near to much that only sounds like them; what is near to the category's own
    words as well belongs there.
    """
    rows, exemplars = similarity.shape
    if not exemplars:
        empty = np.full((rows, labels), -np.inf)
        nothing = np.zeros((rows, labels))
        return Vote(similarity, nothing, nothing, empty, np.full(rows, -1, np.float32))
    nearest = similarity.max(axis=1)
    scale = SHARPNESS * (1 + TEXT_WEIGHT)
    kernel = similarity - nearest[:, None]
    kernel *= scale
    np.exp(kernel, out=kernel)
    if described is None or not described.any():
        mass, log_mean = _by_label(kernel, codes, labels, np.ones(exemplars, dtype=np.bool_))
        words = np.zeros_like(mass)
    else:
        mass, log_mean = _by_label(kernel, codes, labels, ~described)
        words, log_words = _by_label(kernel, codes, labels, described)
        has_words = np.bincount(codes[described], minlength=labels) > 0
        has_both = has_words & (np.bincount(codes[~described], minlength=labels) > 0)
        log_mean[:, has_both] = (log_mean + log_words)[:, has_both] / 2
        alone = has_words & ~has_both
        log_mean[:, alone] = log_words[:, alone]
    return Vote(kernel, mass, words, log_mean + scale * nearest[:, None], nearest)


def _by_label(
    kernel: Floats, codes: npt.NDArray[np.intp], labels: int, asked: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Sum of the kernel over the exemplars ``asked`` (n,), and the log of its mean: float64
    (b, labels) each; -inf for a label of which none is asked."""
    weights = asked.astype(np.float32)
    by_label = sp.csc_matrix((weights, codes, np.arange(len(codes) + 1)), (labels, len(codes)))
    mass = np.asarray((by_label @ kernel.T).T, dtype=np.float64)
    counts = np.bincount(codes[asked], minlength=labels)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_mean = np.log(mass) - np.log(counts)
    log_mean[:, counts == 0] = -np.inf
    return mass, log_mean
