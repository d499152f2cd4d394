"""Which texts are held out: whole groups of near-duplicates, of each category its share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

#: A category with fewer different texts is all learnt from: held out it would need two (a text
#: and its positive), and learning needs two as well.
FEWEST = 4


def held_out(
    groups: npt.NDArray[np.intp], labels: Sequence[str | None], share: float, seed: int
) -> npt.NDArray[np.bool_]:
    """Choose about ``share`` of each label's groups: bool (n,), True for what is held out.

    ``groups`` intp (n,) are equal for texts that say nearly the same; a group belongs to the
    label of its first row.
    """
    random = np.random.default_rng(seed)
    names, firsts = np.unique(groups, return_index=True)
    owned: dict[str | None, list[int]] = {}
    for name, first in sorted(
        zip(names.tolist(), firsts.tolist(), strict=True), key=lambda x: x[1]
    ):
        owned.setdefault(labels[first], []).append(name)
    chosen: list[int] = []
    for label in sorted(owned, key=lambda label: (label is None, label or "")):
        mine = random.permutation(owned[label])
        if len(mine) >= FEWEST:
            count = min(max(round(share * len(mine)), 2), len(mine) - 2)
            chosen += mine[:count].tolist()
    return np.isin(groups, chosen)
