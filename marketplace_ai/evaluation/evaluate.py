"""Evaluate a classifier: fit it as a project would, predict as a worker would, and count.

There are no descriptions: a file has no categories that could be described.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from marketplace_ai.classifier import Classifier, Guarantee, LabeledTexts, Prediction
from marketplace_ai.conf import conf
from marketplace_ai.encoding.progress import Progress, silent
from marketplace_ai.guarantee.target import DEFAULT_TARGET, Target
from marketplace_ai.text.circles import Parents
from marketplace_ai.text.contradictions import Contradiction, find_contradictions
from marketplace_ai.text.family_sizes import FamilySizes
from marketplace_ai.text.labeled_csv import LabeledRows
from marketplace_ai.text.normalize import is_blank, same_text_key

from .baselines import baselines as simpler_rules
from .figures import ScoredRow, figures
from .kin import kin_figures
from .vectors import EncodedRows

#: A posting without a letter or digit never reaches the classifier: it fits nothing.
BLANK_PREDICTION = Prediction(
    label=None, probability=1.0, threshold=None, outcome="none", best_category=None, parent=None,
    choices=((None, 1.0),), matches=(), score=0.0, head_share=0.0, other_share=0.0,
    second_categories=(),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Evaluation:
    """``rows`` predicted by a classifier fitted on ``exemplars``, and their figures.

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
    """Fit on ``train``, certify on ``calibration``, predict ``test``.

    Without ``calibration`` the training rows are cross-fitted instead, and
    ``calibrated_on`` says so. A test row whose category has no exemplar counts as wrong
    (``unknown_categories`` counts them). A training or calibration row with several right
    answers stands for the first of them. Raises ValueError if no training row has a category.
    """
    tree = dict(parents or {})
    exemplars = train.labeled
    start = time.perf_counter()
    with progress("Fitting", None) as advance:
        classifier = Classifier.fit(
            exemplars,
            None if calibration is None else calibration.labeled,
            target=target,
            parents=tree,
            seed=0,
        )
        advance(len(exemplars))
    fitted = time.perf_counter()
    predictions = _predict(classifier, exemplars, test, progress)
    decided = time.perf_counter()
    rows = _scored_rows(test, predictions)
    found = {
        **figures(rows, tree, target),
        "baselines": {},
        "seconds": {
            "encode": encode_seconds, "fit": fitted - start, "predict": decided - fitted,
        },
        **_setting(train, test, calibration, classifier),
        **kin_figures(
            test.rows,
            [train.rows, *([calibration.rows] if calibration else [])],
            rows, tree, target,
        ),
    }  # fmt: skip
    if with_baselines:
        found["baselines"] = simpler_rules(
            exemplars, test.rows, test.vectors, seed=seed, progress=progress
        )
    return Evaluation(rows, exemplars, classifier.guarantee, found)


def _predict(
    classifier: Classifier, exemplars: LabeledTexts, test: EncodedRows, progress: Progress
) -> list[Prediction]:
    index = classifier.exemplar_model.index(exemplars)
    texts = test.rows.texts
    predictions = [BLANK_PREDICTION] * len(texts)
    with_text = [number for number, text in enumerate(texts) if not is_blank(text)]
    with progress("Deciding", len(texts)) as advance:
        advance(len(texts) - len(with_text))
        # As many at once as a worker claims, so that the seconds mean something.
        size = conf.claim_size
        for start in range(0, len(with_text), size):
            batch = with_text[start : start + size]
            answers = classifier.predict(index, test.vectors[batch], [texts[i] for i in batch])
            for number, prediction in zip(batch, answers, strict=True):
                predictions[number] = prediction
            advance(len(batch))
    return predictions


def _scored_rows(test: EncodedRows, predictions: list[Prediction]) -> list[ScoredRow]:
    rows = test.rows
    kinds: Sequence[str | None] = rows.kinds or [None] * len(rows)
    return [
        ScoredRow(*row)
        for row in zip(rows.texts, rows.lines, rows.true_labels, kinds, predictions, strict=True)
    ]


def _families(classifier: Classifier) -> list[int]:
    """The family of each labeled row of a classifier that was just fitted."""
    return [] if classifier.out_of_fold is None else classifier.out_of_fold.groups.tolist()


def _setting(
    train: EncodedRows,
    test: EncodedRows,
    calibration: EncodedRows | None,
    classifier: Classifier,
) -> dict[str, Any]:
    """The setting of the evaluation, so that a stored result stays interpretable."""
    known = {label for label in train.rows.labels if label is not None}
    unknown = [row for row in test.rows.true_labels if row and not known.intersection(row)]
    files = {"train": train, "test": test, "calibration": calibration}
    contradictory = {name: each.rows.contradictions() for name, each in files.items() if each}
    guarantee = classifier.guarantee
    return {
        "confidence": classifier.guarantee.target.confidence_level,
        "calibrated_on": classifier.calibrated_on,
        "exemplars": len(train),
        "categories": len(known),
        "calibration_rows": guarantee.rows,
        "calibration_groups": guarantee.groups,
        "calibration_family_sizes": asdict(FamilySizes.count(_families(classifier))),
        "promised_coverage": guarantee.automatic.coverage,
        "several_answers": train.rows.num_multi_label
        + (calibration.rows.num_multi_label if calibration else 0),
        "unknown_categories": len(unknown),
        "contradictory_texts": {
            **{name: len(found) for name, found in contradictory.items()},
            "across": len(_across([each.rows for each in files.values() if each], contradictory)),
        },
    }


def _across(
    files: Sequence[LabeledRows], within: Mapping[str, Sequence[Contradiction]]
) -> list[Contradiction]:
    """The texts that one file labels otherwise than another, and none of them contradicts alone."""
    known = {same_text_key(each.text) for found in within.values() for each in found}
    found = find_contradictions(
        [text for rows in files for text in rows.texts],
        [labels for rows in files for labels in rows.true_labels],
        [f"{rows.path}, line {line}" for rows in files for line in rows.lines],
    )
    return [each for each in found if same_text_key(each.text) not in known]
