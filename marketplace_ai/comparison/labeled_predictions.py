"""Out-of-fold predictions: what a classifier decides about each labeled row as if it were new."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marketplace_ai.classifier.classifier import Classifier
from marketplace_ai.classifier.labeled import LabeledTexts
from marketplace_ai.classifier.predict import outcome_of
from marketplace_ai.classifier.prediction import Outcome
from marketplace_ai.classifier.taxonomy import parent_columns, sum_by_parent

from .paired_tests import Bools
from .scoring import Scored, out_of_fold, score_out_of_fold


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions of one classifier for b labeled rows.

    ``labels`` are its first choices, with their calibrated ``probability`` (b,). ``decided`` is
    what would be written or proposed: the parent where only that is certain, else the first choice
    (None: fits none). ``parent_correct`` bool (b,): the parent with most of the score is that of
    the row's label; False unless ``has_parent``, that is where the row's category has a parent.
    """

    labels: tuple[str | None, ...]
    probability: npt.NDArray[np.float64]
    outcomes: tuple[Outcome, ...]
    decided: tuple[str | None, ...]
    scored: Scored
    parent_correct: Bools
    has_parent: Bools


def predict_out_of_fold(classifier: Classifier, rows: LabeledTexts) -> Predictions:
    """Predict the rows that a classifier was just calibrated on, by its out-of-fold scores.

    Raises ValueError if it was not just fitted on these rows.
    """
    scores = out_of_fold(classifier, rows)
    names, guarantee = classifier.classes, classifier.guarantee
    parents, columns = parent_columns(names, classifier.parents)
    parent_scores = sum_by_parent(scores.pooled, columns, max(len(parents), 1))
    best_parent = parent_scores.argmax(axis=1)
    label_parent = np.where(scores.y_true >= 0, columns[scores.y_true], -1)
    automated = {row.label: row.automated for row in guarantee.categories}
    labels = tuple(names[code] for code in scores.first_choice)
    outcomes: list[Outcome] = []
    decided: list[str | None] = []
    for row, label in enumerate(labels):
        parent = best_parent[row]
        probability, parent_score = scores.probability[row], parent_scores[row, parent]
        outcome, _ = outcome_of(
            label, float(probability), float(parent_score), guarantee, automated
        )
        outcomes.append(outcome)
        decided.append(parents[parent] if outcome == "automatic_parent" else label)
    return Predictions(
        labels=labels,
        probability=scores.probability,
        outcomes=tuple(outcomes),
        decided=tuple(decided),
        scored=score_out_of_fold(classifier, rows),
        parent_correct=(label_parent >= 0) & (best_parent == label_parent),
        has_parent=label_parent >= 0,
    )
