"""Which texts say nearly the same, so that no text is judged by its own twin."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from marketplace_ai.classifier.ngrams import NgramFeatures

#: Texts that share this much of their n-grams are one text, retyped or with a new date.
NEAR_DUPLICATE = 0.9
_BLOCK = 512


def near_duplicate_groups(texts: Sequence[str]) -> npt.NDArray[np.intp]:
    """Number the groups of near-duplicate texts: intp (n,), equal numbers for one group."""
    grams = NgramFeatures.fit(texts).transform(texts)
    others = grams.T.tocsr()
    links = []
    for start in range(0, len(texts), _BLOCK):
        block = grams[start : start + _BLOCK] @ others
        block.data = block.data > NEAR_DUPLICATE
        block.eliminate_zeros()
        links.append(block)
    # Texts without any n-gram (empty, only spaces) are alike too, and link to nothing above.
    empty = np.flatnonzero(np.diff(grams.indptr) == 0)
    graph = sp.vstack(links).tolil() if links else sp.lil_matrix((0, 0))
    if len(empty):
        graph[empty, empty[0]] = True
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.intp)


def folds(
    groups: npt.NDArray[np.intp], answers: npt.NDArray[np.intp], count: int, seed: int
) -> list[npt.NDArray[np.intp]]:
    """Deal whole groups into ``count`` folds of about equal size: row numbers of each fold.

    Groups with the same answer (that of their first row) are spread evenly. Fewer groups than
    folds give as many folds as groups.
    """
    names, firsts, sizes = np.unique(groups, return_index=True, return_counts=True)
    chance = np.random.default_rng(seed).permutation(len(names))
    order = np.lexsort((chance, answers[firsts], -sizes))
    count = min(count, len(names))
    load = np.zeros(count)
    fold_of = np.zeros(len(names), dtype=np.intp)
    for name in order:
        fold_of[name] = fold = int(load.argmin())
        load[fold] += sizes[name]
    row_fold = fold_of[np.searchsorted(names, groups)]
    return [np.flatnonzero(row_fold == fold) for fold in range(count)]
