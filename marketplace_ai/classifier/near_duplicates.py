"""Groups of near-duplicate texts, and folds that keep them whole."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold

from marketplace_ai.classifier.ngrams import NgramFeatures
from marketplace_ai.text.normalize import same_text_key

#: Texts with a higher cosine of their n-grams are one text, retyped or with a new date.
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


def has_near_duplicate(texts: Sequence[str], others: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Whether each of ``texts`` is a near-duplicate of one of ``others``: bool (n,).

    Directly, not by way of a third text, and whatever its capitals, blanks and punctuation.
    """
    same = set(map(same_text_key, others))
    found = np.array([same_text_key(text) in same for text in texts], dtype=np.bool_)
    features = NgramFeatures.fit([*others, *texts])
    columns = features.transform(others).T.tocsr()
    rows = features.transform(texts)
    for start in range(0, len(texts), _BLOCK):
        cosines = rows[start : start + _BLOCK] @ columns
        if cosines.shape[1]:
            nearest = cosines.max(axis=1).toarray().ravel()
            found[start : start + _BLOCK] |= nearest > NEAR_DUPLICATE
    return found


def group_folds(
    groups: npt.NDArray[np.intp], labels: npt.NDArray[np.intp], count: int, seed: int
) -> list[npt.NDArray[np.intp]]:
    """Split rows into ``count`` stratified folds that keep each group whole.

    Returns the row numbers of each fold. scikit-learn's StratifiedGroupKFold spreads the rows of
    each label evenly, as far as whole groups allow; ``seed`` alone decides among equal choices.
    Fewer groups than folds give as many folds as groups.
    """
    names, members = np.unique(groups, return_inverse=True)
    if len(names) < 2 or count < 2:
        return [np.arange(len(groups))] if len(groups) else []
    count = min(count, len(names))
    # Shuffled here: the splitter's own ``shuffle`` mixed up the groups before scikit-learn 1.8.
    members = np.random.default_rng(seed).permutation(len(names))[members]
    # The splitter refuses labels with fewer rows than folds. Repeating every row changes no
    # proportion, and the splitter looks at nothing else.
    rarest = np.unique(labels, return_counts=True)[1].min()
    rows = np.repeat(np.arange(len(groups)), math.ceil(count / rarest))
    splits = StratifiedGroupKFold(count).split(rows, labels[rows], members[rows])
    folds = [np.unique(rows[fold]) for _, fold in splits]
    return [fold for fold in folds if len(fold)]
