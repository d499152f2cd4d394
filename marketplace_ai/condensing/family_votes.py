"""One vote a family: the text of each family and label that stands for the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marketplace_ai.classifier.families import find_families
from marketplace_ai.classifier.labeled import LabeledTexts
from marketplace_ai.classifier.near_duplicates import near_duplicate_groups

Codes = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class FamilyVotes:
    """Who stands for whom among n labeled texts.

    ``votes`` bool (n,): one text of each family and label. ``families`` intp (n,) number the
    families whatever their labels, for splits that keep them whole.
    """

    votes: npt.NDArray[np.bool_]
    families: Codes


def family_votes(exemplars: LabeledTexts, codes: Codes) -> FamilyVotes:
    """Find the families of each label, ``codes`` (n,), and who votes for each.

    Label by label: a family with two labels has two opinions, and each keeps its vote. The one
    whose vector is nearest to the family's mean votes; the first of equal ones.
    """
    votes = np.zeros(len(codes), dtype=np.bool_)
    families = np.zeros(len(codes), dtype=np.intp)
    by_text = near_duplicate_groups(exemplars.texts, codes)
    named: dict[str, int] = {}
    count = 0
    for code in np.unique(codes):
        rows = np.flatnonzero(codes == code)
        own_texts = exemplars.take(rows)
        given = own_texts.families
        found = find_families(own_texts.texts, given=given, by_text=by_text[rows])
        own = np.unique(found, return_inverse=True)[1]
        votes[rows[_central(exemplars.vectors[rows], own)]] = True
        numbers = np.arange(count, count + int(own.max()) + 1)
        count += len(numbers)
        # A family that people named is one whatever the labels.
        for row, name in enumerate(given):
            if name:
                numbers[own[row]] = named.setdefault(name, int(numbers[own[row]]))
        families[rows] = numbers[own]
    return FamilyVotes(votes, families)


def _central(vectors: npt.NDArray[np.float32], families: Codes) -> Codes:
    """The row of each family, numbered from 0, that is nearest to its mean."""
    sums = np.zeros((int(families.max()) + 1, vectors.shape[1]), dtype=np.float32)
    np.add.at(sums, families, vectors)
    nearness = np.einsum("nd,nd->n", vectors, sums[families])
    # Rounding must not decide between equal vectors.
    order = np.lexsort((np.arange(len(families)), -np.round(nearness, 5), families))
    return order[np.unique(families[order], return_index=True)[1]]
