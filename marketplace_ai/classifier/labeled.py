"""Labeled texts with their vectors: exemplars, or labeled postings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .families import find_families
from .near_duplicates import near_duplicate_groups


@dataclass(frozen=True, eq=False)
class LabeledTexts:
    """``texts`` with unit ``vectors``, float (n, d), ``labels`` and ``families``.

    A label is any string that names a category for the caller; None means that the text
    fits no category. A family is any string that texts of one origin share (a customer, a reposted
    posting, a sentence and its translations); "" where it is not known, and empty where it is known
    of none. Raises ValueError if the four do not belong together.
    """

    texts: Sequence[str]
    vectors: npt.NDArray[np.float32]
    labels: Sequence[str | None]
    families: Sequence[str] = ()

    def __post_init__(self) -> None:
        vectors = np.asarray(self.vectors, dtype=np.float32)
        if vectors.ndim != 2 or not len(vectors) == len(self.texts) == len(self.labels):
            raise ValueError(
                f"{len(self.texts)} texts, {len(self.labels)} labels and vectors of shape "
                f"{vectors.shape}: one vector and one label are needed for each text"
            )
        if len(self.families) not in (0, len(self.texts)):
            raise ValueError(f"{len(self.texts)} texts and {len(self.families)} families")
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not np.isfinite(norms).all() or (norms == 0).any():
            row = int(np.flatnonzero(~np.isfinite(norms) | (norms == 0))[0])
            raise ValueError(f"the vector of row {row} is zero or not finite")
        object.__setattr__(self, "vectors", vectors / norms)

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: npt.NDArray[np.intp]) -> LabeledTexts:
        return LabeledTexts(
            [self.texts[i] for i in rows],
            self.vectors[rows],
            [self.labels[i] for i in rows],
            [self.families[i] for i in rows] if self.families else (),
        )


def joined(first: LabeledTexts, second: LabeledTexts) -> LabeledTexts:
    """The texts of both, one after the other."""
    return LabeledTexts(
        [*first.texts, *second.texts],
        np.concatenate([first.vectors, second.vectors]),
        [*first.labels, *second.labels],
        given_families(first, second),
    )


def given_families(*parts: LabeledTexts) -> list[str]:
    """The families of all ``parts`` in turn, as people know them; empty where they know none."""
    if not any(part.families for part in parts):
        return []
    return [name for part in parts for name in (part.families or [""] * len(part))]


def families_of(*parts: LabeledTexts) -> npt.NDArray[np.intp]:
    """Number the families of all texts of ``parts`` in turn: intp, equal numbers for one family.

    Those that people gave, and near-duplicate texts. Families are looked for across the parts, and
    names mean the same in all of them.
    """
    texts = [text for part in parts for text in part.texts]
    return find_families(texts, given=given_families(*parts))


class Kin(NamedTuple):
    """Who is kin among n exemplars and then b labeled rows; numbers are equal for kin.

    ``families`` count once as evidence. ``groupings`` are wider: an exemplar teaches no row that is
    in its group by any of them, so kin by meaning and near-duplicates of another given family do
    not teach either. The first one keeps families whole.
    """

    families: npt.NDArray[np.intp]
    groupings: list[npt.NDArray[np.intp]]


def find_kin(exemplars: LabeledTexts, rows: LabeledTexts | None) -> Kin:
    """Find the kin of ``exemplars`` and ``rows`` (None: of the exemplars alone).

    By meaning only among exemplars, where these stand in for rows. They were collected, and are
    nearer to each other than to the postings to come; so what judges an exemplar must not have seen
    what means the same. Postings are as near to exemplars as the postings to come will be.
    """
    parts = (exemplars,) if rows is None else (exemplars, rows)
    texts = [text for part in parts for text in part.texts]
    given = given_families(*parts)
    by_text = near_duplicate_groups(texts)
    families = find_families(texts, given=given, by_text=by_text)
    widest = families
    if rows is None:
        widest = find_families(texts, exemplars.vectors, given, by_text)
    return Kin(families, [widest, by_text] if given else [widest])
