"""Test rows that are kin of what was learned from: they flatter every figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from marketplace_ai.classifier.near_duplicates import has_near_duplicate
from marketplace_ai.guarantee.target import Target
from marketplace_ai.text.circles import Parents
from marketplace_ai.text.labeled_csv import LabeledRows
from marketplace_ai.text.normalize import is_blank, same_text_key

from .figures import ScoredRow, figures

#: What is repeated of the rows without kin.
_REPEATED = (
    "n", "accuracy", "parent_accuracy", "top3_accuracy", "auto", "auto_parent", "none",
)  # fmt: skip


def kin_figures(
    test: LabeledRows,
    learned: Sequence[LabeledRows],
    rows: Sequence[ScoredRow],
    parents: Parents,
    target: Target,
) -> dict[str, Any]:
    """How many test rows are kin of ``learned`` rows, and the figures of the others.

    ``seen_in_training``: rows with an equal text, whatever its capitals, blanks and punctuation;
    ``near_duplicates_of_training``: these, and near-duplicates; ``families_of_training``: rows of a
    given family that a learned row is of, None where no file names families. ``without_them`` has
    the figures of the rows that are none of these, None where no row is left or none is left out.
    """
    taught = [text for each in learned for text in each.texts]
    keys = set(map(same_text_key, taught))
    near = has_near_duplicate(test.texts, taught) & ~_blank(test.texts)
    of_family = _of_family(test, learned)
    others = np.flatnonzero(~(near if of_family is None else near | of_family)).tolist()
    return {
        "seen_in_training": sum(same_text_key(text) in keys for text in test.texts),
        "near_duplicates_of_training": int(near.sum()),
        "families_of_training": None if of_family is None else int(of_family.sum()),
        "without_them": _repeated([rows[i] for i in others], parents, target)
        if 0 < len(others) < len(rows)
        else None,
    }


def _blank(texts: Sequence[str]) -> npt.NDArray[np.bool_]:
    return np.array([is_blank(text) for text in texts], dtype=np.bool_)


def _of_family(test: LabeledRows, learned: Sequence[LabeledRows]) -> npt.NDArray[np.bool_] | None:
    if not any(test.families):
        return None
    taught = {family for each in learned for family in each.families if family}
    return np.array([family in taught for family in test.families], dtype=np.bool_)


def _repeated(rows: Sequence[ScoredRow], parents: Parents, target: Target) -> dict[str, Any]:
    found = figures(rows, parents, target)
    return {name: found[name] for name in _REPEATED}
