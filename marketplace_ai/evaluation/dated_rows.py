"""Labeled rows with the time at which each came in, and the part that each may have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
import numpy.typing as npt

from marketplace_ai.classifier import LabeledTexts
from marketplace_ai.classifier.linear_heads import to_class_ids

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
