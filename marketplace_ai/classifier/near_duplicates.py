"""Groups of near-duplicate texts, and folds that keep them whole."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.preprocessing import normalize

from marketplace_ai.text.normalize import same_text_key

from .ngrams import count_ngrams

Floats = npt.NDArray[np.float64]

#: Texts with a higher cosine of their n-grams are one text, retyped or with a new date.
NEAR_DUPLICATE = 0.9
#: Among fewer texts than this, what all share may be what they say, and is no boilerplate.
_FEW_TEXTS = 3
#: Rows, and candidate pairs, compared at a time.
_BLOCK, _PAIRS = 512, 8192


def near_duplicate_groups(
    texts: Sequence[str], within: npt.NDArray[np.intp] | None = None
) -> npt.NDArray[np.intp]:
    """Number the groups of near-duplicate texts: intp (n,), equal numbers for one group.

    Only texts with the same number ``within`` (n,) are compared (None: all with all).

    Boilerplate (templates, footers, legal lines, HTML) says nothing, and is known by its frequency:
    an n-gram weighs the logarithm of how rare it is among the distinct texts, hence next to
    nothing where most have it. A group is a text and those near to *it*, the text with most of them
    first: no chain joins what is not alike.
    """
    if not len(texts):
        return np.zeros(0, dtype=np.intp)
    parts = np.zeros(len(texts), dtype=np.intp) if within is None else within
    numbers: dict[tuple[str, int], int] = {}
    keys = ((same_text_key(text), int(part)) for text, part in zip(texts, parts, strict=True))
    of = np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.intp)
    first = np.unique(of, return_index=True)[1]
    distinct = [texts[row] for row in first]
    counts = count_ngrams(_lines_joined(distinct))
    grams = _weighted(counts, _rarity(counts))
    groups = np.full(len(distinct), -1, dtype=np.intp)
    for part in np.unique(parts[first]):
        rows = np.flatnonzero(parts[first] == part)
        links = _links(grams[rows], grams[rows])
        for place in np.argsort(-np.diff(links.indptr), kind="stable"):
            text = rows[place]
            if groups[text] < 0:
                near = rows[links.indices[links.indptr[place] : links.indptr[place + 1]]]
                groups[near[groups[near] < 0]] = text
                groups[text] = text
    return groups[of]


def _links(rows: sp.csr_matrix, others: sp.csr_matrix) -> sp.csr_matrix:
    """Which of n ``rows`` are near-duplicates of which of m ``others``, bool csr (n, m).

    A pair whose cosine is above a bound shares more than what either has in its most frequent
    n-grams, as long as those alone are no longer than the bound (prefix filtering: Bayardo et al.
    2007). So candidates are looked for by the rare n-grams of each row, which few texts have.
    """
    frequency = np.bincount(others.indices, minlength=others.shape[1])
    rare, columns = _rare_part(rows, frequency), others.T.tocsr()
    links = []
    for start in range(0, rows.shape[0], _BLOCK):
        candidates = (rare[start : start + _BLOCK] @ columns).tocoo()
        of, to = candidates.row + start, candidates.col
        near = np.zeros(len(of), dtype=np.bool_)
        for first in range(0, len(of), _PAIRS):
            part = slice(first, first + _PAIRS)
            cosines = rows[of[part]].multiply(others[to[part]]).sum(axis=1)
            near[part] = np.asarray(cosines).ravel() > NEAR_DUPLICATE
        size = (min(_BLOCK, rows.shape[0] - start), others.shape[0])
        links.append(sp.csr_matrix((near[near], (candidates.row[near], to[near])), size))
    return sp.vstack(links).tocsr()


def _rare_part(rows: sp.csr_matrix, frequency: npt.NDArray[np.intp]) -> sp.csr_matrix:
    """The unit ``rows`` without their most frequent n-grams, as many as are no longer together
    than the bound on a near-duplicate's cosine."""
    of = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    order = np.lexsort((-frequency[rows.indices], of))
    squares = np.cumsum(rows.data[order].astype(np.float64) ** 2)
    before = np.concatenate([[0.0], squares])[rows.indptr[:-1]]
    kept = order[squares - before[of[order]] > NEAR_DUPLICATE**2 - 1e-3]
    part = (rows.data[kept], (of[kept], rows.indices[kept]))
    return sp.csr_matrix(part, shape=rows.shape)


def _rarity(counts: sp.csr_matrix) -> Floats:
    """What saying each n-gram is worth among the texts of ``counts``: float64 (BUCKETS,), next to 0
    where most say it."""
    texts = int(counts.shape[0])
    frequency = np.bincount(counts.indices, minlength=counts.shape[1])
    rarity: Floats = np.log((1 + texts) / (1 + frequency))
    return rarity + min(1.0, _FEW_TEXTS / texts)


def _weighted(counts: sp.csr_matrix, rarity: Floats) -> sp.csr_matrix:
    """Unit rows of n-grams weighted by rarity, float32 csr; empty where a text has none."""
    # Sublinear: an n-gram said five times is not five times the text.
    weights = (1 + np.log(counts.data)) * rarity[counts.indices]
    rows = sp.csr_matrix((weights.astype(np.float32), counts.indices, counts.indptr), counts.shape)
    return normalize(rows, copy=False)


def _lines_joined(texts: Sequence[str]) -> list[str]:
    """Each text on one line: its title does not count double, which may be a template's."""
    return [" ".join(text.split()) for text in texts]


def has_near_duplicate(texts: Sequence[str], others: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Whether each of ``texts`` is a near-duplicate of one of ``others``: bool (n,).

    Directly, not by way of a third text, and whatever its capitals, blanks and punctuation.
    """
    same = set(map(same_text_key, others))
    found = np.array([same_text_key(text) in same for text in texts], dtype=np.bool_)
    if not len(texts) or not len(others):
        return found
    counts = count_ngrams(_lines_joined(others))
    rarity = _rarity(counts)
    rows = _weighted(count_ngrams(_lines_joined(texts)), rarity)
    found |= np.diff(_links(rows, _weighted(counts, rarity)).indptr) > 0
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
