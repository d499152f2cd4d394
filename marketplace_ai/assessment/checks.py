"""What can be assessed at all; each refusal is a sentence with its cure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from marketplace_ai.text.labeled_csv import LabeledRows

from .split import Split

#: Families without which nothing can be held out, fitted and calibrated.
MIN_FAMILIES = 50


class AssessmentError(ValueError):
    """The rows cannot be assessed; the message says why, with the cure."""


def check_labels(rows: LabeledRows) -> None:
    if not len(rows):
        raise AssessmentError(
            f"{rows.path}: no text has a letter or digit once personal data is removed, so "
            "there is nothing to go by. Name the column with what people wrote text, or title and "
            "description."
        )
    categories = {label for label in rows.labels if label is not None}
    if len(categories) < 2:
        named = f"have the category {min(categories)!r}" if categories else "fit no category"
        raise AssessmentError(
            f"{rows.path}: all rows {named}, so there is nothing to tell apart. Add rows of other "
            "categories."
        )


def check_families(rows: LabeledRows, families: npt.NDArray[np.intp]) -> None:
    distinct = len(np.unique(families))
    if distinct < MIN_FAMILIES:
        counted = f"{len(rows):,} rows"
        if distinct < len(rows):
            counted += f", which count as {distinct:,} because the others repeat them,"
        raise AssessmentError(
            f"{rows.path}: {counted} are too few to learn from some and judge by the others. Give "
            f"{MIN_FAMILIES} or more that do not repeat each other."
        )


def check_older(rows: LabeledRows, split: Split) -> None:
    older = {rows.labels[row] for row in split.older} - {None}
    if len(older) < 2:
        have = f"have the category {min(older)!r} alone" if older else "fit no category"
        raise AssessmentError(
            f"{rows.path}: the older rows {have}, so nothing can be learned that "
            "the newer ones could judge. Leave the dates out, or add older rows."
        )
