"""How a fit scores rows that it has not learned."""

from __future__ import annotations

from marketplace_ai.classifier import Classifier, LabeledTexts
from marketplace_ai.classifier.calibration import PooledScores


def score_new_rows(
    classifier: Classifier, exemplars: LabeledTexts, rows: LabeledTexts
) -> PooledScores:
    """Scores of ``rows`` by a classifier, with the ``exemplars`` it was fitted on to vote."""
    index = classifier.exemplar_model.index(exemplars)
    scored = classifier.exemplar_model.score_rows(index, rows)
    return classifier.calibration.scores(scored, classifier.classes.index(None))
