"""How often the first choice is right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marketplace_ai.evaluation.metrics import effective_rows, interval
from marketplace_ai.text.labeled_csv import LabeledRows

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class FirstChoice:
    """Of ``rows`` with a category, the first choice is right for ``right``; ``interval`` (95%)
    counts kin once."""

    rows: int
    right: int
    interval: tuple[float, float]

    @property
    def share(self) -> float | None:
        return self.right / self.rows if self.rows else None


def count_first_choice(
    rows: LabeledRows, right: Bools, families: npt.NDArray[np.intp], part: Bools
) -> FirstChoice:
    """Count the rows of a ``part`` bool (n,) that have a category; ``right`` bool (n,) says whether
    the best category is one of the row's, ``families`` (n,) number the kin."""
    asked = part & np.array([bool(labels) for labels in rows.true_labels], dtype=np.bool_)
    hits, worth = int(right[asked].sum()), effective_rows(families[asked])
    share = hits / max(int(asked.sum()), 1)
    bounds = interval(share * worth, worth) if asked.any() else (0.0, 1.0)
    return FirstChoice(int(asked.sum()), hits, bounds)
