"""What a classifier that was just fitted says of each labelled row, in full: as it would decide
a posting that it has never seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marketplace_ai.classifier.classifier import Classifier
from marketplace_ai.classifier.labeled import LabeledTexts
from marketplace_ai.classifier.predict import outcome_of
from marketplace_ai.classifier.prediction import Outcome
from marketplace_ai.classifier.taxonomy import parent_columns, sum_by_parent

from .scoring import Answers, Bools, out_of_fold


@dataclass(frozen=True, eq=False)
class Said:
    """b labelled rows by one classifier: its first answers with their calibrated
    ``probability`` (b,), and what comes of them.

    ``decided`` is what would be written or proposed: the parent where only that is certain,
    else the first answer (None: fits none). ``answers``: right and automatic, of a leaf.
    ``parent_right`` bool (b,): the parent that carries most of the score is that of the right
    answer; False where the row has no category, or one without a parent.
    """

    labels: tuple[str | None, ...]
    probability: npt.NDArray[np.float64]
    outcomes: tuple[Outcome, ...]
    decided: tuple[str | None, ...]
    answers: Answers
    parent_right: Bools
    has_parent: Bools


def say(classifier: Classifier, rows: LabeledTexts) -> Said:
    """By the out-of-fold scores of the fit; ValueError where these are not its rows."""
    answers = out_of_fold(classifier, rows)
    scored, names, promise = classifier.out_of_fold, classifier.classes, classifier.guarantee
    assert scored is not None  # noqa: S101 (out_of_fold has asked)
    tops, columns = parent_columns(names, classifier.parents)
    sums = sum_by_parent(scored.pooled, columns, max(len(tops), 1))
    best = sums.argmax(axis=1)
    right = np.where(scored.y_true >= 0, columns[scored.y_true], -1)
    automated = {row.label: row.automated for row in promise.categories}
    labels = tuple(names[code] for code in scored.first_choice)
    outcomes: list[Outcome] = []
    decided: list[str | None] = []
    for row, label in enumerate(labels):
        chance, above = float(scored.probability[row]), float(sums[row, best[row]])
        outcome, _ = outcome_of(label, chance, above, promise, automated)
        outcomes.append(outcome)
        decided.append(tops[best[row]] if outcome == "automatic_parent" else label)
    return Said(
        labels, scored.probability, tuple(outcomes), tuple(decided), answers,
        (right >= 0) & (best == right), right >= 0,
    )  # fmt: skip
