"""What the exemplars alone teach: text weights, the metric, the pattern."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marketplace_ai.classifier.index import ExemplarIndex
from marketplace_ai.classifier.learned_metric import Metric
from marketplace_ai.classifier.ngrams import ClauseFeatures, NgramFeatures

from .labeled import LabeledTexts
from .linear_heads import LinearHeads, class_ids
from .opinion_pool import ModelScores
from .second_category import SecondCategories, clauses, find_second_categories
from .vote import Vote, hybrid, vote

Floats = npt.NDArray[np.float32]
Classes = tuple[str | None, ...]

_BLOCK = 256


@dataclass(frozen=True, eq=False)
class ScoredPostings:
    """b postings against an index: similarity (b, n), the vote, and the evidence for
    calibration; ``names`` are the columns' labels, ``codes`` (n,) the exemplars' columns and
    ``described`` bool (n,) which of them are descriptions.
    ``divided``: the texts by clause, of which ``pattern`` says what each speaks for."""

    classes: Classes
    codes: npt.NDArray[np.intp]
    described: npt.NDArray[np.bool_]
    similarity: Floats
    vote: Vote
    model_scores: ModelScores
    clause_features: ClauseFeatures
    linear_heads: LinearHeads


@dataclass(frozen=True, eq=False)
class ExemplarModel:
    """Fitted on exemplars alone: labelled postings of the stream never reach it."""

    classes: Classes
    features: NgramFeatures
    metric: Metric
    linear_heads: LinearHeads

    @classmethod
    def fit(
        cls,
        exemplars: LabeledTexts,
        names: Classes,
        seed: int,
        descriptions: LabeledTexts | None = None,
    ) -> ExemplarModel:
        """``descriptions`` teach nothing; that a label has one says that it may be new."""
        features = NgramFeatures.fit(exemplars.texts)
        codes = class_ids(exemplars.labels, names)
        metric = Metric.fit(exemplars.vectors, codes)
        centered = metric.center(exemplars.vectors)
        described = has_description(descriptions, names)
        grams = features.transform(exemplars.texts)
        pattern = LinearHeads.fit(centered, grams, codes, described, seed)
        return cls(names, features, metric, pattern)

    def new_index(self, generation: int = 0) -> ExemplarIndex:
        """An empty index that compares as this was fitted to."""
        return ExemplarIndex(self.metric.dimension, self.features, generation, self.metric)

    def index(
        self, exemplars: LabeledTexts, descriptions: LabeledTexts | None = None
    ) -> ExemplarIndex:
        """The exemplars as a worker would hold them; ids are row numbers, those of the
        descriptions follow."""
        index = self.new_index()
        ids = range(len(exemplars))
        index.update(ids, exemplars.texts, exemplars.labels, exemplars.vectors)
        if descriptions is not None:
            add_descriptions(index, descriptions, len(exemplars))
        return index

    def weigh(self, index: ExemplarIndex, vectors: Floats, texts: Sequence[str]) -> ScoredPostings:
        """Compare postings with the exemplars as they are now.

        A label that came after the fit gets a column of its own, behind the fitted ones.
        """
        voting = [index.label_names[code] for code in np.unique(index.codes)]
        names = self.classes + tuple(x for x in voting if x not in set(self.classes))
        codes = class_ids(index.label_names, names)[index.codes]
        divided = self.features.divide(texts, clauses)
        grams = divided.rows
        similarity = hybrid(*index.compare(vectors, grams))
        cast = vote(similarity, codes, len(names), index.described)
        centered = self.metric.center(np.asarray(vectors, dtype=np.float32))
        by_vector, by_text = self.linear_heads.scores(centered, grams, len(names))
        evidence = ModelScores(
            cast.log_density,
            by_vector.astype(np.float64),
            by_text.astype(np.float64),
            cast.nearest.astype(np.float64),
        )
        return ScoredPostings(
            names, codes, index.described, similarity, cast, evidence, divided, self.linear_heads
        )

    def model_scores(self, index: ExemplarIndex, rows: LabeledTexts) -> ModelScores:
        """Weigh many rows, a block at a time."""
        return ModelScores.concatenate(
            [
                self.weigh(
                    index,
                    rows.vectors[start : start + _BLOCK],
                    rows.texts[start : start + _BLOCK],
                ).model_scores
                for start in range(0, len(rows), _BLOCK)
            ]
        )

    def second_jobs(
        self, texts: Sequence[str], pooled: npt.NDArray[np.float64], none: int
    ) -> SecondCategories:
        """The second jobs that many texts may have, by their scores ``pooled`` (b, k)."""
        return SecondCategories.concatenate(
            [
                find_second_categories(
                    self.linear_heads,
                    self.features.divide(texts[start : start + _BLOCK], clauses),
                    pooled[start : start + _BLOCK],
                    none,
                )
                for start in range(0, len(texts), _BLOCK)
            ]
        )


def has_description(descriptions: LabeledTexts | None, names: Classes) -> npt.NDArray[np.bool_]:
    """Which of the labels ``names`` have a description, bool (k,)."""
    labels = set() if descriptions is None else set(descriptions.labels)
    return np.array([name in labels for name in names], dtype=np.bool_)


def add_descriptions(index: ExemplarIndex, descriptions: LabeledTexts, first_id: int) -> None:
    """Let descriptions vote in an index, under ids from ``first_id`` on."""
    index.update(
        range(first_id, first_id + len(descriptions)),
        descriptions.texts,
        descriptions.labels,
        descriptions.vectors,
        described=[True] * len(descriptions),
    )
