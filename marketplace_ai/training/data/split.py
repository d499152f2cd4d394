"""The held-out split: whole families, the same share of each category."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

#: A category with fewer families has none held out: the test needs two (a text and its
#: positive), and so does the training.
MIN_GROUPS = 4


def held_out_mask(
    groups: npt.NDArray[np.intp], labels: Sequence[str | None], share: float, seed: int
) -> npt.NDArray[np.bool_]:
    """Hold out about ``share`` of the groups of each label: bool (n,), True for held-out texts.

    ``groups`` intp (n,) are equal for texts of one family; a group has the label of its first row.
    """
    random = np.random.default_rng(seed)
    group_ids, first_rows = np.unique(groups, return_index=True)
    groups_by_label: dict[str | None, list[int]] = {}
    for group, row in sorted(
        zip(group_ids.tolist(), first_rows.tolist(), strict=True), key=lambda pair: pair[1]
    ):
        groups_by_label.setdefault(labels[row], []).append(group)
    held_out: list[int] = []
    for label in sorted(groups_by_label, key=lambda label: (label is None, label or "")):
        shuffled = random.permutation(groups_by_label[label])
        if len(shuffled) >= MIN_GROUPS:
            count = min(max(round(share * len(shuffled)), 2), len(shuffled) - 2)
            held_out += shuffled[:count].tolist()
    return np.isin(groups, held_out)
