"""Baselines: simpler classifiers on the same rows, each tuned as well as it can be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from marketplace_ai.classifier import LabeledTexts
from marketplace_ai.classifier.labeled import families_of
from marketplace_ai.classifier.learned_metric import Metric
from marketplace_ai.classifier.near_duplicates import group_folds
from marketplace_ai.classifier.ngrams import NgramFeatures
from marketplace_ai.classifier.vote import TEXT_WEIGHT, vote
from marketplace_ai.encoding.progress import Progress, silent
from marketplace_ai.text.labeled_csv import LabeledRows

from .lexical import NEIGHBORS, agreement, nearest_by_text
from .logistic import FOLDS, ONE_FOLD_FROM, Hyperparameters, Logistic
from .metrics import share

Floats = npt.NDArray[np.float32]
TrueLabels = Sequence[tuple[str, ...]]
Figures = dict[str, dict[str, Any]]

NAMES = ("nearest", "vote", "lexical", "finn", "logistic", "logistic_both")
_BLOCK = 512


def baselines(
    exemplars: LabeledTexts,
    rows: LabeledRows,
    vectors: Floats,
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> Figures:
    """Each baseline's figures on ``rows``, keyed as in ``NAMES``.

    ``accuracy`` is over rows that have an answer, of the best category with none left out
    (None: no such row). Whatever is tuned is chosen by cross-validation on the exemplars
    alone, in folds of whole families.
    """
    features = NgramFeatures.fit(exemplars.texts)
    known, asked = features.transform(exemplars.texts), features.transform(rows.texts)
    of_category = [number for number, label in enumerate(exemplars.labels) if label is not None]
    names = [str(exemplars.labels[number]) for number in of_category]

    with progress("Baselines: neighbours", len(rows)) as advance:
        by_vector = _nearest(exemplars.vectors[of_category], vectors)
        by_text, _ = nearest_by_text(known[of_category], asked, 1)
        figures: Figures = {
            "nearest": {"accuracy": _accuracy([names[i] for i in by_vector], rows.true_labels)},
            "vote": {
                "accuracy": _accuracy(
                    _voted(exemplars.vectors[of_category], names, vectors), rows.true_labels
                )
            },
            "lexical": {"accuracy": _accuracy([names[i] for i in by_text[:, 0]], rows.true_labels)},
        }
        found, cosines = nearest_by_text(known, asked, NEIGHBORS)
        figures["finn"] = _finn(exemplars.labels, found, cosines, rows.true_labels)
        advance(len(rows))

    labels = sorted({label for label in exemplars.labels if label is not None})
    # "none" comes last; its column is left out of the choice, as it is of ours.
    codes = np.array(
        [len(labels) if x is None else labels.index(x) for x in exemplars.labels], dtype=np.intp
    )
    # These are thousands of small products: on a machine that others use as well, threads that
    # wait for one another make them ten times slower.
    with progress("Baselines: logistic regressions", None) as advance, threadpool_limits(1):
        held_out = held_out_folds(exemplars, codes, seed)
        machines = Logistic(exemplars.vectors, known, codes, held_out)
        scores = machines.scores(vectors, asked)
        choices = (machines.chosen, machines.chosen_both)
        for name, found_scores, chosen in zip(NAMES[4:], scores, choices, strict=True):
            best = found_scores[:, : len(labels)].argmax(axis=1)
            figures[name] = {
                "accuracy": _accuracy([labels[i] for i in best], rows.true_labels),
                **_settings(chosen),
            }
        advance(len(exemplars))
    return figures


def held_out_folds(
    exemplars: LabeledTexts, codes: npt.NDArray[np.intp], seed: int
) -> list[npt.NDArray[np.intp]]:
    """Row numbers of each fold; one fifth alone where a set is large (``ONE_FOLD_FROM``).

    None where all texts are of one family: then nothing is left to fit on.
    """
    groups = families_of(exemplars)
    if len(exemplars) > ONE_FOLD_FROM:
        return group_folds(groups, codes, 5, seed)[:1]
    folds = group_folds(groups, codes, FOLDS, seed)
    return folds if len(folds) > 1 else []


def _nearest(exemplars: Floats, vectors: Floats) -> npt.NDArray[np.intp]:
    blocks = [
        (vectors[start : start + _BLOCK] @ exemplars.T).argmax(axis=1)
        for start in range(0, len(vectors), _BLOCK)
    ]
    return np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.intp)


def _voted(exemplars: Floats, names: Sequence[str], vectors: Floats) -> list[str]:
    """What the exemplars vote for by embedding alone, as ours vote by embedding and text."""
    labels, codes = np.unique(names, return_inverse=True)
    metric = Metric.fit(exemplars, codes)
    # As in the index: an exemplar that is the mean, as the only one is, has no direction.
    lengths: Floats = np.maximum(metric.lengths(exemplars), np.float32(1e-12))
    said: list[str] = []
    for start in range(0, len(vectors), _BLOCK):
        mapped, offsets = metric.queries(vectors[start : start + _BLOCK])
        cosine = (mapped @ exemplars.T - offsets[:, None]) / lengths
        cast = vote(cosine / (1 + TEXT_WEIGHT), codes, len(labels))
        said += labels[cast.log_density.argmax(axis=1)].tolist()
    return said


def _finn(
    labels: Sequence[str | None],
    found: npt.NDArray[np.intp],
    cosines: Floats,
    answers: TrueLabels,
) -> dict[str, Any]:
    said = [
        agreement([labels[i] for i in row], near.tolist())
        for row, near in zip(found, cosines, strict=True)
    ]
    covered = [
        first in right
        for (first, _, enough), right in zip(said, answers, strict=True)
        if enough and first is not None
    ]
    return {
        "accuracy": _accuracy([category for _, category, _ in said], answers),
        "coverage": share(len(covered), len(said)),
        "precision": share(sum(covered), len(covered)),
    }


def _accuracy(said: Sequence[str | None], answers: TrueLabels) -> float | None:
    right = [label in known for label, known in zip(said, answers, strict=True) if known]
    return share(sum(right), len(right))


def _settings(chosen: Hyperparameters) -> dict[str, Any]:
    settings: dict[str, Any] = {"c": chosen.c}
    if chosen.text_scale is not None:
        settings["text_scale"] = chosen.text_scale
    return settings
