"""Each category's figures, and which of them lack rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marketplace_ai.guarantee.minimum_counts import (
    MIN_EXEMPLARS_FOR_GUARANTEE,
    MIN_EXEMPLARS_FOR_HEAD,
)

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class CategoryFigures:
    """Of the ``rows`` labeled ``label``: first choice ``right``, ``automatic`` at the default
    target, ``suspected`` of a wrong label."""

    label: str
    rows: int
    right: int
    automatic: int
    suspected: int

    @property
    def missing(self) -> int:
        """Rows that it lacks until a fit learns it as it learns the others."""
        return max(0, MIN_EXEMPLARS_FOR_HEAD - self.rows)

    @property
    def can_be_automatic(self) -> bool:
        """Whether it has the rows that the overall guarantee asks for."""
        return self.rows >= MIN_EXEMPLARS_FOR_GUARANTEE


def category_figures(
    labels: Sequence[str | None], right: Bools, automatic: Bools, suspected: Bools
) -> list[CategoryFigures]:
    """The figures of each category, the one with the fewest rows first; each argument (n,)."""
    names = np.array([label or "" for label in labels], dtype=object)
    found = [
        CategoryFigures(
            name,
            int((names == name).sum()),
            *(int(marked[names == name].sum()) for marked in (right, automatic, suspected)),
        )
        for name in sorted({label for label in labels if label is not None})
    ]
    return sorted(found, key=lambda each: (each.rows, each.label))
