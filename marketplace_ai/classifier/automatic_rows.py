"""Which rows a guarantee would have decided without a person."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from marketplace_ai.guarantee.guarantee import Guarantee

from .exemplar_model import Classes


def automatic_rows(
    guarantee: Guarantee,
    classes: Classes,
    first_choice: npt.NDArray[np.intp],
    probability: npt.NDArray[np.float64],
) -> npt.NDArray[np.bool_]:
    """The rows whose ``first_choice`` (b,) is given to them, bool (b,): a category that is
    automated, with a ``probability`` (b,) that reaches the threshold."""
    threshold = guarantee.automatic.threshold
    automated = [classes.index(row.label) for row in guarantee.categories if row.automated]
    return np.isin(first_choice, automated) & (
        probability >= (np.inf if threshold is None else threshold)
    )
