"""Suspected labels as people look at them."""

from __future__ import annotations

from dataclasses import dataclass

from marketplace_ai.text.category_cells import NONE
from marketplace_ai.text.labeled_csv import LabeledRows

from .label_errors import suspected_labels
from .predictions import RowPredictions


@dataclass(frozen=True, slots=True)
class SuspectedLabel:
    """A row whose label is probably wrong: where it stands, and the category it looks like, with
    the probabilities of both."""

    place: object
    text: str
    label: str
    suggested: str
    label_probability: float
    probability: float


def find_suspects(rows: LabeledRows, found: RowPredictions) -> list[SuspectedLabel]:
    """The most suspicious first; a row that has the other category as well is none of them."""
    suspected, others = suspected_labels(found.probabilities, found.y_true)
    return [
        SuspectedLabel(
            rows.lines[row],
            rows.texts[row],
            rows.labels[row] or NONE,
            found.classes[other] or NONE,
            float(found.probabilities[row, found.y_true[row]]),
            float(found.probabilities[row, other]),
        )
        for row, other in zip(suspected.tolist(), others.tolist(), strict=True)
        if found.classes[other] not in rows.true_labels[row]
    ]
