"""Families: texts of one origin, which say the same thing as each other and prove it once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from .near_duplicates import near_duplicate_groups


def find_families(
    texts: Sequence[str],
    vectors: npt.NDArray[np.float32] | None = None,
    given: Sequence[str] = (),
) -> npt.NDArray[np.intp]:
    """Number the families of ``texts``: intp (n,), equal numbers for one family.

    ``vectors``: unit vectors (n, d) by which texts of one meaning are found; None where there are
    none. ``given``: the family of each text as people know it, "" where they do not; empty if they
    know none. Texts of one given family belong together, whatever else is found.
    """
    groups = near_duplicate_groups(texts)
    if not any(given):
        return groups
    known = [i for i, name in enumerate(given) if name]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(given[i] for i in known))}
    both = groups.max() + 1 + np.array([numbers[given[i]] for i in known])
    size = int(both.max()) + 1
    links = sp.coo_matrix((np.ones(len(known)), (groups[known], both)), shape=(size, size))
    joined = connected_components(links, directed=False)[1]
    return np.asarray(joined[groups], dtype=np.intp)


def one_of_each(families: npt.NDArray[np.intp], seed: int = 0) -> npt.NDArray[np.intp]:
    """A row number of each of the ``families`` (n,), drawn at random: intp (f,), ascending."""
    order = np.random.default_rng(seed).permutation(len(families))
    return np.sort(order[np.unique(families[order], return_index=True)[1]])
