"""Labeled rows with the time at which each came in, and the part that each may have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from marketplace_ai.classifier import LabeledTexts
from marketplace_ai.classifier.families import find_families
from marketplace_ai.classifier.linear_heads import to_class_ids

from .vectors import EncodedRows

Codes = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class DatedRows:
    """n labeled rows and when each came in (None: unknown, and then it counts as the oldest).

    ``teaches``, ``calibrates`` and ``asked`` are the numbers of the rows with that part; a row may
    be asked about by an early fit and teach a later one. ``families`` (n,) number the kin.
    """

    texts: LabeledTexts
    true_labels: Sequence[tuple[str, ...]]
    dates: Sequence[datetime | None]
    families: Codes
    teaches: Codes
    calibrates: Codes
    asked: Codes

    @cached_property
    def label_codes(self) -> Codes:
        """The number of each row's first label, -1 for a row that fits no category."""
        labels = self.texts.labels
        return to_class_ids(labels, sorted({label for label in labels if label is not None}))

    def dates_of(self, rows: Codes) -> list[datetime | None]:
        return [self.dates[row] for row in rows.tolist()]


def dated_rows(
    train: EncodedRows, test: EncodedRows, calibration: EncodedRows | None = None
) -> DatedRows:
    """The rows of all files; ``test`` may be ``train`` itself, whose rows then have both parts."""
    parts = [train, *([] if test is train else [test]), *([calibration] if calibration else [])]
    ends = np.cumsum([0, *map(len, parts)])
    numbers = [np.arange(start, end) for start, end in pairwise(ends)]
    texts = [text for each in parts for text in each.rows.texts]
    names = [name for each in parts for name in each.rows.families or [""] * len(each)]
    given = names if any(names) else []
    return DatedRows(
        LabeledTexts(
            texts,
            np.concatenate([each.vectors for each in parts]),
            [label for each in parts for label in each.rows.labels],
            given,
        ),
        [labels for each in parts for labels in each.rows.true_labels],
        [moment for each in parts for moment in each.rows.dates or [None] * len(each)],
        find_families(texts, given=given),
        numbers[0],
        numbers[-1] if calibration else np.zeros(0, dtype=np.intp),
        numbers[0] if test is train else numbers[1],
    )
