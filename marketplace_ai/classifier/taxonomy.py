"""Leaves and their parents: the parent that carries most of a posting's score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt


def parent_columns(
    names: Sequence[str | None], parents: Mapping[str, str | None]
) -> tuple[list[str], npt.NDArray[np.intp]]:
    """Parents that have a label under them, and each label's position among them.

    A label that is itself such a parent counts as under itself; -1: it has none.
    """
    of_label = [None if name is None else parents.get(name) for name in names]
    found = sorted({parent for parent in of_label if parent is not None})
    position = {parent: column for column, parent in enumerate(found)}
    columns = [
        position.get(parent or name or "", -1) for name, parent in zip(names, of_label, strict=True)
    ]
    return found, np.array(columns, dtype=np.intp)


def sum_by_parent(
    pooled: npt.NDArray[np.float64], columns: npt.NDArray[np.intp], count: int
) -> npt.NDArray[np.float64]:
    """Add up the scores (b, k) of the labels under each parent: float64 (b, count)."""
    sums = np.zeros((len(pooled), count))
    for column in range(count):
        sums[:, column] = pooled[:, columns == column].sum(axis=1)
    return sums
