"""The exemplar model: what is fitted on exemplars alone (n-gram weights, metric, linear heads)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marketplace_ai.classifier.index import ExemplarIndex
from marketplace_ai.classifier.learned_metric import Metric
from marketplace_ai.classifier.ngrams import ClauseFeatures, NgramFeatures

from .labeled import LabeledTexts, joined
from .linear_heads import LinearHeads, to_class_ids
from .opinion_pool import ModelScores
from .second_category import SecondCategories, clauses, find_second_categories
from .vote import Vote, hybrid, vote

Floats = npt.NDArray[np.float32]
Classes = tuple[str | None, ...]

_BLOCK = 256


@dataclass(frozen=True, eq=False)
class ScoredPostings:
    """b postings scored against an index: similarity (b, n), the vote and the model scores.

    ``classes`` are the k columns, ``class_ids`` (n,) the exemplars' columns and ``described`` bool
    (n,) marks the descriptions. ``clause_features`` are the texts by clause, for ``linear_heads``.
    """

    classes: Classes
    class_ids: npt.NDArray[np.intp]
    described: npt.NDArray[np.bool_]
    similarity: Floats
    vote: Vote
    model_scores: ModelScores
    clause_features: ClauseFeatures
    linear_heads: LinearHeads


@dataclass(frozen=True, eq=False)
class ExemplarModel:
    """What is fitted on exemplars alone; labeled postings never reach it."""

    classes: Classes
    features: NgramFeatures
    metric: Metric
    linear_heads: LinearHeads

    @classmethod
    def fit(
        cls,
        exemplars: LabeledTexts,
        classes: Classes,
        seed: int,
        rare: npt.NDArray[np.bool_],
        descriptions: LabeledTexts | None = None,
    ) -> ExemplarModel:
        """Fit on ``exemplars``; classes that are ``rare``, bool (k,), get no linear heads.

        Which ones are (``rare_classes``) is decided once, on all exemplars: a fold takes some away,
        and must not score a class in another way than the classifier will.

        N-gram weights and metric are also those of ``descriptions``, of classes that are newer
        than the fit as well: where there are many and few exemplars, they are what postings are
        compared with. Linear heads are fitted on exemplars alone.
        """
        voting = exemplars if descriptions is None else joined(exemplars, descriptions)
        features = NgramFeatures.fit(voting.texts)
        names = (*classes, *sorted(set(voting.labels) - set(classes), key=str))
        metric = Metric.fit(voting.vectors, to_class_ids(voting.labels, names))
        class_ids = to_class_ids(exemplars.labels, classes)
        centered = metric.center(exemplars.vectors)
        grams = features.transform(exemplars.texts)
        linear_heads = LinearHeads.fit(centered, grams, class_ids, rare, seed)
        return cls(classes, features, metric, linear_heads)

    def new_index(self) -> ExemplarIndex:
        """An empty index with this model's features and metric."""
        return ExemplarIndex(self.metric.dimension, self.features, self.metric)

    def index(
        self, exemplars: LabeledTexts, descriptions: LabeledTexts | None = None
    ) -> ExemplarIndex:
        """An index of the exemplars as in a worker; the ids are row numbers, followed by those
        of the descriptions. Descriptions of classes newer than the fit vote as well."""
        index = self.new_index()
        ids = range(len(exemplars))
        index.update(ids, exemplars.texts, exemplars.labels, exemplars.vectors)
        if descriptions is not None:
            add_descriptions(index, descriptions, len(exemplars))
        return index

    def score(self, index: ExemplarIndex, vectors: Floats, texts: Sequence[str]) -> ScoredPostings:
        """Compare postings with the exemplars in the index.

        A class that is newer than the fit gets a column after the fitted ones.
        """
        voting = [index.label_names[code] for code in np.unique(index.codes)]
        classes = self.classes + tuple(x for x in voting if x not in set(self.classes))
        class_ids = to_class_ids(index.label_names, classes)[index.codes]
        clause_features = self.features.split_features(texts, clauses)
        grams = clause_features.rows
        similarity = hybrid(*index.compare(vectors, grams))
        votes = vote(similarity, class_ids, len(classes), index.described)
        centered = self.metric.center(np.asarray(vectors, dtype=np.float32))
        by_vector, by_text = self.linear_heads.scores(centered, grams, len(classes))
        evidence = ModelScores(
            votes.log_density,
            by_vector.astype(np.float64),
            by_text.astype(np.float64),
            votes.nearest.astype(np.float64),
        )
        return ScoredPostings(
            classes,
            class_ids,
            index.described,
            similarity,
            votes,
            evidence,
            clause_features,
            self.linear_heads,
        )

    def score_rows(self, index: ExemplarIndex, rows: LabeledTexts) -> ModelScores:
        """Score many rows, a block at a time."""
        return ModelScores.concatenate(
            [
                self.score(
                    index,
                    rows.vectors[start : start + _BLOCK],
                    rows.texts[start : start + _BLOCK],
                ).model_scores
                for start in range(0, len(rows), _BLOCK)
            ]
        )

    def second_categories(
        self, texts: Sequence[str], pooled: npt.NDArray[np.float64], none_index: int
    ) -> SecondCategories:
        """The second categories that many texts may have, by their scores ``pooled`` (b, k)."""
        return SecondCategories.concatenate(
            [
                find_second_categories(
                    self.linear_heads,
                    self.features.split_features(texts[start : start + _BLOCK], clauses),
                    pooled[start : start + _BLOCK],
                    none_index,
                )
                for start in range(0, len(texts), _BLOCK)
            ]
        )


def has_description(descriptions: LabeledTexts | None, classes: Classes) -> npt.NDArray[np.bool_]:
    """Which of the ``classes`` have a description, bool (k,)."""
    labels = set() if descriptions is None else set(descriptions.labels)
    return np.array([name in labels for name in classes], dtype=np.bool_)


def add_descriptions(index: ExemplarIndex, descriptions: LabeledTexts, first_id: int) -> None:
    """Add descriptions to an index, under ids from ``first_id`` on."""
    index.update(
        range(first_id, first_id + len(descriptions)),
        descriptions.texts,
        descriptions.labels,
        descriptions.vectors,
        described=[True] * len(descriptions),
    )
