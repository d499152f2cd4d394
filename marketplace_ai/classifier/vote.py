"""The vote of the exemplars: hybrid similarity, summed to a density for each class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from marketplace_ai.guarantee.minimum_counts import MIN_EXEMPLARS_FOR_HEAD

Floats = npt.NDArray[np.float32]

#: Weight of the text similarity relative to the cosine. The text also has a linear head, so
#: it needs less weight here than it would alone.
TEXT_WEIGHT = 0.3
#: Sharpness of the softmax vote: an exemplar whose cosine is higher by 1/16 counts e times
#: as much. Both are on a plateau of cross-fitted log loss on four sets (8 to 24; 0.2 to 1).
SHARPNESS = 16.0
#: The same for the similarity that people see.
SCALE = SHARPNESS * (1 + TEXT_WEIGHT)


def hybrid(cosine: Floats, text: Floats) -> Floats:
    """Mean of both similarities (b, n), the text weighing ``TEXT_WEIGHT``: up to 1."""
    mixed = TEXT_WEIGHT * text
    mixed += cosine
    mixed /= 1 + TEXT_WEIGHT
    return np.asarray(mixed, dtype=np.float32)


def relative_kernel(similarity: Floats, nearest: Floats) -> Floats:
    """What exemplars of ``similarity`` (b, n) count, (b, n); one of ``nearest`` (b,) counts 1."""
    kernel: Floats = similarity - nearest[:, None]
    kernel *= SCALE
    np.exp(kernel, out=kernel)
    return kernel


@dataclass(frozen=True, eq=False)
class Vote:
    """The vote on b postings for each of k classes, before any prior.

    ``kernel`` float32 (b, n) is every exemplar's weight, relative to the posting's nearest;
    ``exemplar_mass`` float64 (b, k) sums it by class over exemplars, ``description_mass`` over
    descriptions;
    ``log_density`` float64 (b, k) is the log of the mean weight in a label (see ``vote`` for
    one with a description), -inf for a label without exemplars; ``nearest`` float32 (b,) is
    the highest similarity.
    """

    kernel: Floats
    exemplar_mass: npt.NDArray[np.float64]
    description_mass: npt.NDArray[np.float64]
    log_density: npt.NDArray[np.float64]
    nearest: Floats


def vote(
    similarity: Floats,
    class_ids: npt.NDArray[np.intp],
    num_classes: int,
    described: npt.NDArray[np.bool_] | None = None,
) -> Vote:
    """Let n exemplars of the classes ``class_ids`` (n,) vote on b postings.

    The mean, not the sum, over the exemplars of a class: how many were collected carries no
    information on how often such postings come in. That is the task of the prior.

    ``described`` (n,) marks the descriptions (None: there are none). A class with exemplars and a
    description has a weighted mean of both log densities (see ``description_weight``).
    """
    rows, exemplars = similarity.shape
    if not exemplars:
        empty = np.full((rows, num_classes), -np.inf)
        nothing = np.zeros((rows, num_classes))
        return Vote(similarity, nothing, nothing, empty, np.full(rows, -1, np.float32))
    nearest = similarity.max(axis=1)
    kernel = relative_kernel(similarity, nearest)
    if described is None or not described.any():
        exemplar_mass, log_mean = _by_label(
            kernel, class_ids, num_classes, np.ones(exemplars, dtype=np.bool_)
        )
        description_mass = np.zeros_like(exemplar_mass)
    else:
        exemplar_mass, log_mean = _by_label(kernel, class_ids, num_classes, ~described)
        description_mass, log_description = _by_label(kernel, class_ids, num_classes, described)
        has_description = np.bincount(class_ids[described], minlength=num_classes) > 0
        counts = np.bincount(class_ids[~described], minlength=num_classes)
        has_both = has_description & (counts > 0) & (counts < MIN_EXEMPLARS_FOR_HEAD)
        weight = description_weight(counts[has_both])
        log_mean[:, has_both] = (1 - weight) * log_mean[:, has_both] + (
            weight * log_description[:, has_both]
        )
        description_only = has_description & (counts == 0)
        log_mean[:, description_only] = log_description[:, description_only]
    return Vote(
        kernel, exemplar_mass, description_mass, log_mean + SCALE * nearest[:, None], nearest
    )


def description_weight(counts: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
    """What the description of a class weighs beside its ``counts`` (k,) exemplars, float64 (k,).

    All where there are none, nothing from ``MIN_EXEMPLARS_FOR_HEAD`` on, where it leaves the vote,
    and in between it falls evenly: a few exemplars are also near to postings that only sound like
    them, and a posting near the description as well belongs there. (On calibration_nb, with 40 to
    700 exemplars of the demo's catalog, better than the mean of both and than 3 / (3 + count).)
    """
    return np.clip(1 - counts / MIN_EXEMPLARS_FOR_HEAD, 0.0, 1.0)


def _by_label(
    kernel: Floats,
    class_ids: npt.NDArray[np.intp],
    num_classes: int,
    selected: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Sum of the kernel over the exemplars ``selected`` (n,), and the log of its mean: float64
    (b, num_classes) each; -inf for a label of which none is selected."""
    weights = selected.astype(np.float32)
    by_label = sp.csc_matrix(
        (weights, class_ids, np.arange(len(class_ids) + 1)), (num_classes, len(class_ids))
    )
    exemplar_mass = np.asarray((by_label @ kernel.T).T, dtype=np.float64)
    counts = np.bincount(class_ids[selected], minlength=num_classes)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_mean = np.log(exemplar_mass) - np.log(counts)
    log_mean[:, counts == 0] = -np.inf
    return exemplar_mass, log_mean
