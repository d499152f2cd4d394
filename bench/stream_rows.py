"""Rows whose answers are known, decided by a classifier that was taught none of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import numpy.typing as npt

from marketplace_ai.classifier import Classifier, LabeledTexts
from marketplace_ai.evaluation.vectors import EncodedRows
from marketplace_ai.guarantee.threshold_search import CalibrationSample, find_threshold
from marketplace_ai.management.console import progress
from marketplace_ai.text.circles import Parents
from marketplace_ai.text.labeled_csv import read_rows

from .catalogue import TARGET
from .inputs import ROOT, catalogue, encoded, encoded_rows, labeled, out_of_fold, public_split
from .rows import say

Random = np.random.Generator

#: The public set, the exemplars of each category, and which part of the categories is left out:
#: postings of those fit nothing.
PUBLIC, SHOTS, LEFT_OUT = "banking77", 24, 6


@dataclass(frozen=True, eq=False)
class StreamRows:
    """r rows: ``score`` float (r,), what a threshold is compared with (-inf: never automatic);
    ``wrong`` bool (r,), what the first choice is; ``category`` intp (r,), -1 for a row that fits
    nothing; ``groups`` intp (r,), the near-duplicates.

    ``threshold`` is the one that the classifier decides with; None where each run searches one on
    half of the rows, as a fit on labeled postings does.
    """

    score: npt.NDArray[np.float64]
    wrong: npt.NDArray[np.bool_]
    category: npt.NDArray[np.intp]
    groups: npt.NDArray[np.intp]
    threshold: float | None = None

    def take(self, rows: npt.NDArray[np.bool_]) -> StreamRows:
        return StreamRows(
            self.score[rows], self.wrong[rows], self.category[rows], self.groups[rows],
            self.threshold,
        )  # fmt: skip

    def calibrated(self, random: Random) -> StreamRows:
        """The rows that come in after a fit, with its threshold (inf: nothing is automatic)."""
        if self.threshold is not None:
            return self
        half = random.random(int(self.groups.max()) + 1)[self.groups] < 0.5
        # Rows that were never labeled postings are strangers, and calibrate nothing.
        sample = half & (self.groups > 0)
        rows = CalibrationSample(self.score, self.wrong, self.groups)
        found = find_threshold(
            rows.take(sample & np.isfinite(self.score)), int(sample.sum()), TARGET
        )
        threshold = np.inf if found.threshold is None else found.threshold
        return replace(self.take(~half | (self.groups == 0)), threshold=threshold)


@cache
def catalogue_rows(*, by_postings: bool) -> StreamRows:
    """calibration_nb, and strangers.csv among what fits nothing."""
    train, _, postings = encoded(catalogue())
    strangers = encoded_rows(read_rows(str(ROOT / "strangers.csv")))
    return _scored(
        labeled(train), labeled(postings), labeled(strangers), by_postings, catalogue().parents
    )


@cache
def public_rows(*, by_postings: bool) -> StreamRows:
    """The test rows of the public set; those of every sixth category fit nothing."""
    train, test = encoded(public_split(PUBLIC, "train", "test", SHOTS))
    left_out = set(sorted(set(train.rows.labels) - {None}, key=str)[::LEFT_OUT])
    taught = labeled(train)
    taught = taught.take(np.flatnonzero([label not in left_out for label in taught.labels]))
    return _scored(taught, _as_none(test, left_out), None, by_postings, {})


def _as_none(rows: EncodedRows, left_out: set[str | None]) -> LabeledTexts:
    labels = [None if label in left_out else label for label in rows.rows.labels]
    return LabeledTexts(rows.rows.texts, rows.vectors, labels)


def _scored(
    taught: LabeledTexts,
    postings: LabeledTexts,
    strangers: LabeledTexts | None,
    by_postings: bool,
    parents: Parents,
) -> StreamRows:
    """``by_postings``: calibrated on labeled postings, of which each is scored by a fit without
    it; else on the exemplars alone, so that every posting is new to the classifier."""
    say(f"Fitting {len(taught):,} exemplars …")
    with progress("Fitting", None):
        classifier = Classifier.fit(
            taught, postings if by_postings else None, target=TARGET, parents=parents
        )
    index = classifier.exemplar_model.index(taught)
    if not by_postings:
        parts = [_decided(classifier, index, rows) for rows in (postings, strangers) if rows]
        return replace(_concatenated(parts), threshold=0.5)
    scored = out_of_fold(classifier)
    none = classifier.classes.index(None)
    score = np.where(scored.first_choice == none, -np.inf, scored.probability)
    category = np.where(scored.y_true == none, -1, scored.y_true)
    own = StreamRows(score, scored.first_choice != scored.y_true, category, scored.groups + 1)
    if strangers is None:
        return own
    predictions = classifier.predict(index, strangers.vectors, strangers.texts)
    score = np.array([-np.inf if one.label is None else one.probability for one in predictions])
    return _concatenated([own, _strangers(score)])


def _decided(classifier: Classifier, index: object, rows: LabeledTexts) -> StreamRows:
    """1.0 for what the classifier decides by itself, -inf for all else."""
    predictions = classifier.predict(index, rows.vectors, rows.texts)  # type: ignore[arg-type]
    score = np.array([1.0 if one.outcome == "automatic" else -np.inf for one in predictions])
    wrong = np.array(
        [one.label != label for one, label in zip(predictions, rows.labels, strict=True)]
    )
    names = list(classifier.classes)
    category = np.array([-1 if label is None else names.index(label) for label in rows.labels])
    return StreamRows(score, wrong, category, np.zeros(len(score), dtype=np.intp))


def _strangers(score: npt.NDArray[np.float64]) -> StreamRows:
    zeros = np.zeros(len(score), dtype=np.intp)
    return StreamRows(score, np.ones(len(score), dtype=bool), zeros - 1, zeros)


def _concatenated(parts: list[StreamRows]) -> StreamRows:
    names = ("score", "wrong", "category", "groups")
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return StreamRows(joined["score"], joined["wrong"], joined["category"], joined["groups"])
