"""What the classifier makes of each categorized posting, by a fit that saw none of its family."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marketplace_ai.classifier import Classifier, LabeledTexts
from marketplace_ai.classifier.exemplar_model import Classes
from marketplace_ai.classifier.linear_heads import to_class_ids
from marketplace_ai.classifier.predict import choice_probabilities
from marketplace_ai.evaluation.fit_scores import score_new_rows

from .split import Split

Codes = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RowPredictions:
    """Predictions for n rows: the older ones out of fold, those held out by the fit on the older.

    ``probabilities`` (n, k) of the ``classes`` (None: fits none); ``first_choice`` (n,), its
    calibrated ``probability`` (n,), and the ``best_category`` (n,), which is no "none". ``y_true``
    (n,) is the row's first label, -1 where it is no class. ``classifier`` was fitted on the older.
    """

    classifier: Classifier
    probabilities: Floats
    first_choice: Codes
    best_category: Codes
    probability: Floats
    y_true: Codes

    @property
    def classes(self) -> Classes:
        return self.classifier.classes


def predict_rows(rows: LabeledTexts, split: Split, seed: int = 0) -> RowPredictions:
    """Fit on the older rows, with cross-fitting, and predict all.

    Raises ValueError where no older row has a category.
    """
    older, held_out = rows.take(split.older), rows.take(split.held_out)
    classifier = Classifier.fit(older, seed=seed)
    found = classifier.out_of_fold
    if found is None:
        raise AssertionError("a classifier that was just fitted has its out-of-fold predictions")
    none = classifier.classes.index(None)
    scores = score_new_rows(classifier, older, held_out)
    order = np.argsort(np.concatenate([split.older, split.held_out]))
    pooled = np.concatenate([found.pooled, scores.pooled])[order]
    first_choice = np.concatenate([found.first_choice, scores.first_choice])[order]
    probability = np.concatenate([found.probability, scores.probability])[order]
    categories = pooled.copy()
    categories[:, none] = -1.0
    return RowPredictions(
        classifier,
        choice_probabilities(pooled, first_choice, probability),
        first_choice,
        categories.argmax(axis=1),
        probability,
        to_class_ids(rows.labels, classifier.classes),
    )
