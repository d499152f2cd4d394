"""The out-of-fold predictions that a guarantee may be proven on."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt

from .cross_fitting import OutOfFold


def counted_rows(out_of_fold: OutOfFold, counted: npt.NDArray[np.bool_] | None) -> OutOfFold:
    """The rows for which ``counted`` bool (b,) is True (None: all); the others only teach."""
    if counted is None or counted.all():
        return out_of_fold
    rows = np.flatnonzero(counted)
    return OutOfFold(
        *(_take(getattr(out_of_fold, field.name), rows) for field in fields(OutOfFold))
    )


def _take(column: Any, rows: npt.NDArray[np.intp]) -> Any:
    return column[rows] if isinstance(column, np.ndarray) else column.take(rows)
