"""Fit on exemplars as a project would, decide as a worker would, and count.

Without descriptions: a file has no categories to be described.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from marketplace_ai.classifier import Classifier, Guarantee, LabeledTexts, Prediction
from marketplace_ai.conf import conf
from marketplace_ai.encoding.progress import Progress, silent
from marketplace_ai.guarantee.target import DEFAULT_TARGET, Target
from marketplace_ai.text.labeled_csv import Parents
from marketplace_ai.text.normalize import is_blank

from .baselines import baselines as simpler_rules
from .figures import ScoredRow, figures
from .vectors import EncodedRows

#: A posting without a letter or digit never reaches the classifier: it fits nothing.
BLANK_PREDICTION = Prediction(
    label=None, probability=1.0, threshold=None, outcome="none", best_category=None, parent=None,
    choices=((None, 1.0),), matches=(), score=0.0, head_share=0.0, other_share=0.0,
    second_categories=(),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Evaluation:
    """``rows`` judged by a classifier fitted on ``exemplars``, and the figures from them.

    ``figures`` are those of ``evaluate_classifier --json``; ``exemplars`` stand in the order
    in which the matches' ``exemplar_id`` count them.
    """

    rows: list[ScoredRow]
    exemplars: LabeledTexts
    guarantee: Guarantee
    figures: Mapping[str, Any] = field(default_factory=dict)


def evaluate(
    train: EncodedRows,
    test: EncodedRows,
    calibration: EncodedRows | None = None,
    *,
    parents: Parents | None = None,
    target: Target = DEFAULT_TARGET,
    seed: int = 0,
    with_baselines: bool = True,
    encode_seconds: float = 0.0,
    progress: Progress = silent,
) -> Evaluation:
    """Fit on ``train``, promise on ``calibration``, judge ``test``.

    Without ``calibration`` the training rows are cross-fitted in its stead, and
    ``calibrated_on`` says so. A test row whose category has no exemplar counts as wrong
    (``unknown_categories`` counts them). A training or calibration row with several right
    answers stands for the first of them. Raises ValueError where no training row has a category.
    """
    tree = dict(parents or {})
    exemplars = LabeledTexts(train.rows.texts, train.vectors, train.rows.labels)
    start = time.perf_counter()
    with progress("Fitting", None) as advance:
        classifier = Classifier.fit(
            exemplars,
            None
            if calibration is None
            else LabeledTexts(calibration.rows.texts, calibration.vectors, calibration.rows.labels),
            target=target,
            parents=tree,
            seed=0,
        )
        advance(len(exemplars))
    fitted = time.perf_counter()
    verdicts = _decide(classifier, exemplars, test, progress)
    decided = time.perf_counter()
    rows = _judged(test, verdicts)
    found = {
        **figures(rows, tree, target),
        "baselines": {},
        "seconds": {
            "encode": encode_seconds, "fit": fitted - start, "predict": decided - fitted,
        },
        **_setting(train, test, calibration, classifier),
    }  # fmt: skip
    if with_baselines:
        found["baselines"] = simpler_rules(
            exemplars, test.rows, test.vectors, seed=seed, progress=progress
        )
    return Evaluation(rows, exemplars, classifier.guarantee, found)


def _decide(
    classifier: Classifier, exemplars: LabeledTexts, test: EncodedRows, progress: Progress
) -> list[Prediction]:
    index = classifier.exemplar_model.index(exemplars)
    texts = test.rows.texts
    verdicts = [BLANK_PREDICTION] * len(texts)
    speaking = [number for number, text in enumerate(texts) if not is_blank(text)]
    with progress("Deciding", len(texts)) as advance:
        advance(len(texts) - len(speaking))
        # As many at once as a worker claims, so that the seconds mean something.
        size = conf.claim_size
        for start in range(0, len(speaking), size):
            batch = speaking[start : start + size]
            answers = classifier.predict(index, test.vectors[batch], [texts[i] for i in batch])
            for number, verdict in zip(batch, answers, strict=True):
                verdicts[number] = verdict
            advance(len(batch))
    return verdicts


def _judged(test: EncodedRows, verdicts: list[Prediction]) -> list[ScoredRow]:
    rows = test.rows
    kinds: Sequence[str | None] = rows.kinds or [None] * len(rows)
    return [
        ScoredRow(*row)
        for row in zip(rows.texts, rows.lines, rows.true_labels, kinds, verdicts, strict=True)
    ]


def _setting(
    train: EncodedRows,
    test: EncodedRows,
    calibration: EncodedRows | None,
    classifier: Classifier,
) -> dict[str, Any]:
    """What was compared with what, so that a result kept for a year still says it."""
    known = {label for label in train.rows.labels if label is not None}
    unknown = [row for row in test.rows.true_labels if row and not known.intersection(row)]
    learnt = set(train.rows.texts) | set(calibration.rows.texts if calibration else ())
    promise = classifier.guarantee
    return {
        "confidence": classifier.guarantee.target.confidence_level,
        "calibrated_on": classifier.calibrated_on,
        "exemplars": len(train),
        "categories": len(known),
        "calibration_rows": promise.rows,
        "promised_coverage": promise.automatic.coverage,
        "several_answers": train.rows.several + (calibration.rows.several if calibration else 0),
        "unknown_categories": len(unknown),
        "seen_in_training": int(np.sum([text in learnt for text in test.rows.texts])),
    }
