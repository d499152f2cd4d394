"""Comparison of two encoders: their classifiers, fitted on the same exemplars, on the same rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from marketplace_ai.classifier.classifier import Classifier
from marketplace_ai.classifier.labeled import LabeledTexts

from . import slices
from .held_out_check import check_held_out
from .labeled_predictions import Predictions, predict_out_of_fold
from .paired_tests import Bools, paired_difference
from .report import (
    ChangedRow,
    EncoderComparison,
    ModelSummary,
    PairedDifference,
    RowPrediction,
)
from .scoring import out_of_fold
from .slices import PredictionPair

#: Rows kept of those that are decided differently, losses of the new classifier first.
MAX_CHANGED_ROWS = 200


def compare_encoders(
    new: Classifier,
    old: Classifier,
    rows: LabeledTexts,
    kinds: Sequence[tuple[str, ...]] | None = None,
    seed: int = 0,
) -> EncoderComparison:
    """Compare the classifiers of two encoders on the rows that both were just calibrated on.

    Both were fitted on the same exemplars with the same seed, so they differ in the vectors alone.
    ``rows`` are the labeled rows of the fit (the exemplars, if it was cross-validated on those);
    their vectors are not used. ``kinds`` has the kinds of each row's text; by default those of
    ``slices.text_kinds``. Raises ValueError for classifiers that were not just fitted on these
    rows.
    """
    groups = out_of_fold(new, rows).groups
    if not np.array_equal(groups, out_of_fold(old, rows).groups):
        raise ValueError("the two were not fitted on the same texts")
    if kinds is None:
        kinds = [slices.text_kinds(text) for text in rows.texts]
    predictions = predict_out_of_fold(new, rows), predict_out_of_fold(old, rows)
    new_scored, old_scored = (each.scored for each in predictions)
    new_parent, old_parent = (each.parent_correct for each in predictions)
    every = np.ones(len(rows), dtype=bool)
    none = np.array([label is None for label in rows.labels], dtype=bool)
    with_parent = predictions[0].has_parent | predictions[1].has_parent

    def difference(by_new: Bools, by_old: Bools, part: Bools = every) -> PairedDifference:
        return paired_difference(by_new[part], by_old[part], groups[part], seed)

    changed = _changed_rows(*predictions)
    return EncoderComparison(
        rows=len(rows),
        groups=len(np.unique(groups)),
        rows_with_parent=int(with_parent.sum()),
        none_rows=int(none.sum()),
        new=_summary(new, predictions[0], seed),
        old=_summary(old, predictions[1], seed),
        first_choice=difference(new_scored.correct, old_scored.correct),
        parent=difference(new_parent, old_parent, with_parent),
        none_recognized=difference(new_scored.correct, old_scored.correct, none),
        automatic=difference(new_scored.automatic, old_scored.automatic),
        categories=slices.by_category(
            rows.labels, predictions, (new.guarantee, old.guarantee), groups
        ),
        kinds=slices.by_kind(kinds, predictions, groups),
        changed=len(changed),
        changes=tuple(_changed_row(rows, predictions, row) for row in changed[:MAX_CHANGED_ROWS]),
    )


def _summary(classifier: Classifier, predictions: Predictions, seed: int) -> ModelSummary:
    counts = predictions.scored.counts()
    return ModelSummary(
        threshold=classifier.guarantee.automatic.threshold,
        automatic=counts.automatic,
        errors=counts.errors,
        automatic_parent=predictions.outcomes.count("automatic_parent"),
        none=predictions.outcomes.count("none"),
        held_out=check_held_out(classifier, seed),
    )


def _changed_rows(new: Predictions, old: Predictions) -> list[int]:
    """Rows that are decided differently: first those where only the old classifier is correct, then
    those where only the new one is, then the others."""

    def order(row: int) -> int:
        correct = bool(new.scored.correct[row]), bool(old.scored.correct[row])
        return {(False, True): 0, (True, False): 1}.get(correct, 2)

    decisions = zip(new.outcomes, new.decided, old.outcomes, old.decided, strict=True)
    differ = [row for row, (a, b, c, d) in enumerate(decisions) if (a, b) != (c, d)]
    return sorted(differ, key=order)


def _changed_row(rows: LabeledTexts, predictions: PredictionPair, row: int) -> ChangedRow:
    new, old = (
        RowPrediction(each.decided[row], float(each.probability[row]), each.outcomes[row])
        for each in predictions
    )
    return ChangedRow(rows.texts[row], rows.labels[row], new, old)
