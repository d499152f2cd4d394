"""``evaluate_classifier --by-time``: fits of the past, and which rows all other figures are of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np

from marketplace_ai.classifier import LabeledTexts
from marketplace_ai.classifier.families import find_families
from marketplace_ai.encoding.progress import Progress, silent
from marketplace_ai.guarantee.target import DEFAULT_TARGET, Target
from marketplace_ai.text.circles import Parents

from .dated_rows import DatedRows
from .past_fits import fit_in_the_past
from .time_figures import TimeFigures, time_figures
from .time_output import as_json
from .vectors import EncodedRows

#: The share of the rows that is decided where one file has to be divided, as in an assessment.
_NEWEST = 1 / 5


@dataclass(frozen=True, eq=False)
class TimedFiles:
    """Figures of fits of the past; ``files`` are those that an evaluation then takes.

    ``since``: where one file teaches and is decided, the moment from which on it is; else None.
    """

    figures: TimeFigures
    files: list[EncodedRows]
    since: datetime | None

    def as_json(self, column: str) -> dict[str, Any]:
        since = None if self.since is None else self.since.isoformat()
        return {"column": column, "since": since, **as_json(self.figures)}


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


def look_back(
    train: EncodedRows,
    test: EncodedRows,
    calibration: EncodedRows | None = None,
    *,
    parents: Parents | None = None,
    target: Target = DEFAULT_TARGET,
    progress: Progress = silent,
) -> TimedFiles:
    """Fit in the past, and divide one file (``test`` is ``train``) so that the newest are decided.

    Raises NoCutError where no row is later than what a fit could be made of.
    """
    given = [train, test, *([calibration] if calibration else [])]
    found = fit_in_the_past(
        dated_rows(train, test, calibration), parents=parents, target=target, progress=progress
    )
    figures = time_figures(found)
    if test is not train:
        return TimedFiles(figures, given, None)
    since = min(
        (fit.cut for fit in found.fits),
        key=lambda cut: abs(len(_divided(train, cut)[1]) / len(train) - _NEWEST),
    )
    learned = [_divided(each, since)[0] for each in given[2:]]
    return TimedFiles(figures, [*_divided(train, since), *learned], since)


def _divided(rows: EncodedRows, since: datetime) -> tuple[EncodedRows, EncodedRows]:
    """The rows before a moment, and the others; one without a date is before it."""
    is_later = [date is not None and date >= since for date in rows.rows.dates]
    earlier = [row for row, later in enumerate(is_later) if not later]
    return rows.take(earlier), rows.take([row for row, later in enumerate(is_later) if later])
