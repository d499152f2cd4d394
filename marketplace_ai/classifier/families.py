"""Families: texts of one origin, which say the same as each other and are evidence once.

Translations, reposts, texts made by one template or by one author. Who is judged must not have been
taught by kin, so folds keep families whole, and one row of each counts. Some are given by people;
the others are found here, by text and by meaning, without a look at labels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .near_duplicates import near_duplicate_groups
from .nearest_by_meaning import NEIGHBORS, join_by_meaning

Codes = npt.NDArray[np.intp]

#: Texts that one meaning may join. Chains of pairs, each alike enough, would otherwise join half a
#: set whose texts are about one thing; a larger family has to be given, or to be one text.
MAX_BY_MEANING = NEIGHBORS // 2


def find_families(
    texts: Sequence[str],
    vectors: npt.NDArray[np.float32] | None = None,
    given: Sequence[str] = (),
    by_text: Codes | None = None,
) -> Codes:
    """Number the families of ``texts``: intp (n,), equal numbers for one family.

    ``vectors``: unit vectors (n, d) by which texts of one meaning are found; None where there are
    none. ``given``: the family of each text as people know it, "" where they do not; empty if they
    know none. Texts of one given family belong together, and two given families are never joined:
    customers who ask for the same thing would otherwise be one family, and soon all of them.
    ``by_text``: the groups of near-duplicates where they are known already.
    """
    names = _numbered(given, len(texts))
    groups = near_duplicate_groups(texts) if by_text is None else by_text
    families = _with_names(groups, names)
    if vectors is None:
        return families
    return join_by_meaning(vectors, families, MAX_BY_MEANING, names >= 0)


def _numbered(given: Sequence[str], rows: int) -> Codes:
    """A number for each name, -1 for "" and where nothing is given."""
    numbers: dict[str, int] = {}
    codes = (numbers.setdefault(name, len(numbers)) if name else -1 for name in given)
    return np.fromiter(codes, dtype=np.intp, count=rows) if len(given) else np.full(rows, -1)


def _with_names(groups: Codes, names: Codes) -> Codes:
    """The ``groups`` (n,), but what has a name, or is in a group with one, is of the first such."""
    known = np.flatnonzero(names >= 0)
    first = np.full(int(groups.max(initial=-1)) + 1, -1)
    first[groups[known[::-1]]] = names[known[::-1]]
    named = np.where(names >= 0, names, first[groups])
    return np.where(named >= 0, named, int(names.max(initial=-1)) + 1 + groups)
