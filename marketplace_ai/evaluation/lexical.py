"""Baselines that compare texts alone, by character n-grams."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

Floats = npt.NDArray[np.float32]

#: FINN småjobber (tech.finn.no, 2017): ten nearest by text, an answer where six agree.
NEIGHBORS = 10
AGREEING = 6
_BLOCK = 256


def nearest_by_text(
    exemplars: sp.csr_matrix, queries: sp.csr_matrix, count: int
) -> tuple[npt.NDArray[np.intp], Floats]:
    """The ``count`` exemplars nearest to each query, and their cosines: both (b, count).

    Nearest first; rows are unit TF-IDF features. Equal cosines keep the exemplars' order.
    """
    count = min(count, exemplars.shape[0])
    columns = exemplars.T.tocsr()
    found, cosines = [], []
    for start in range(0, queries.shape[0], _BLOCK):
        similarity = (queries[start : start + _BLOCK] @ columns).toarray()
        order = np.argsort(-similarity, axis=1, kind="stable")[:, :count]
        found.append(order)
        cosines.append(np.take_along_axis(similarity, order, axis=1))
    if not found:
        return np.zeros((0, count), np.intp), np.zeros((0, count), np.float32)
    return np.concatenate(found), np.concatenate(cosines)


def agreement(
    labels: Sequence[str | None], cosines: Sequence[float]
) -> tuple[str | None, str | None, bool]:
    """What the neighbours of one text say: (most frequent label, most frequent category,
    whether enough agree on the first).

    Among equally frequent ones that with the higher sum of cosines comes first. None as a
    label means "fits no category"; as a category, that no neighbour has one.
    """
    weight: dict[str | None, tuple[int, float]] = defaultdict(lambda: (0, 0.0))
    for label, cosine in zip(labels, cosines, strict=True):
        count, total = weight[label]
        weight[label] = (count + 1, total + float(cosine))
    ranked = sorted(weight, key=lambda label: weight[label], reverse=True)
    first = ranked[0] if ranked else None
    category = next((label for label in ranked if label is not None), None)
    return first, category, bool(ranked) and weight[first][0] >= AGREEING
