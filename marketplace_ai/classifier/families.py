"""Families: texts of one origin, which say the same as each other and are evidence once.

Translations, reposts, texts made by one template or by one author. Who is judged must not have been
taught by kin, so folds keep families whole, and one row of each counts. Some are given by people;
the others are found here, by text and by meaning, without a look at labels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from .near_duplicates import near_duplicate_groups
from .nearest_by_meaning import join_by_meaning

Codes = npt.NDArray[np.intp]

#: Texts that one meaning may join. Chains of pairs, each alike enough, would otherwise join half a
#: set whose texts are about one thing; a larger family has to be given, or to be one text.
MAX_BY_MEANING = 10


def find_families(
    texts: Sequence[str],
    vectors: npt.NDArray[np.float32] | None = None,
    given: Sequence[str] = (),
) -> Codes:
    """Number the families of ``texts``: intp (n,), equal numbers for one family.

    ``vectors``: unit vectors (n, d) by which texts of one meaning are found; None where there are
    none. ``given``: the family of each text as people know it, "" where they do not; empty if they
    know none. Texts of one given family belong together. Two given families are joined by nothing
    but a text that both have: people know better than a comparison of vectors.
    """
    names = _numbered(given, len(texts))
    families = _joined(near_duplicate_groups(texts), names)
    if vectors is None:
        return families
    return join_by_meaning(vectors, families, MAX_BY_MEANING, names >= 0)


def _numbered(given: Sequence[str], rows: int) -> Codes:
    """A number for each name, -1 for "" and where nothing is given."""
    numbers: dict[str, int] = {}
    codes = (numbers.setdefault(name, len(numbers)) if name else -1 for name in given)
    return np.fromiter(codes, dtype=np.intp, count=rows) if len(given) else np.full(rows, -1)


def _joined(groups: Codes, names: Codes) -> Codes:
    """The groups (n,), joined where they have a text of one name (n,), -1 for none."""
    known = np.flatnonzero(names >= 0)
    first = int(groups.max(initial=-1)) + 1
    size = first + int(names.max(initial=-1)) + 1
    links = (np.ones(len(known)), (groups[known], first + names[known]))
    joined = connected_components(sp.coo_matrix(links, (size, size)), directed=False)[1]
    return np.asarray(joined[groups], dtype=np.intp)
