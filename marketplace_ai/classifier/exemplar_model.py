"""What the exemplars alone teach: text weights, the metric, the pattern."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marketplace_ai.classifier.index import ExemplarIndex
from marketplace_ai.classifier.learned_metric import Metric
from marketplace_ai.classifier.ngrams import Divided, NgramFeatures

from .labeled import Labelled
from .linear_heads import Pattern, label_codes
from .opinion_pool import Evidence
from .second_category import Seconds, clauses, second_jobs
from .vote import Vote, hybrid, vote

Floats = npt.NDArray[np.float32]
Names = tuple[str | None, ...]

_BLOCK = 256


@dataclass(frozen=True, eq=False)
class Weighed:
    """b postings against an index: similarity (b, n), the vote, and the evidence for
    calibration; ``names`` are the columns' labels, ``codes`` (n,) the exemplars' columns and
    ``described`` bool (n,) which of them are descriptions.
    ``divided``: the texts by clause, of which ``pattern`` says what each speaks for."""

    names: Names
    codes: npt.NDArray[np.intp]
    described: npt.NDArray[np.bool_]
    similarity: Floats
    vote: Vote
    evidence: Evidence
    divided: Divided
    pattern: Pattern


@dataclass(frozen=True, eq=False)
class Ground:
    """Fitted on exemplars alone: labelled postings of the stream never reach it."""

    names: Names
    features: NgramFeatures
    metric: Metric
    pattern: Pattern

    @classmethod
    def fit(
        cls, exemplars: Labelled, names: Names, seed: int, descriptions: Labelled | None = None
    ) -> Ground:
        """``descriptions`` teach nothing; that a label has one says that it may be new."""
        features = NgramFeatures.fit(exemplars.texts)
        codes = label_codes(exemplars.labels, names)
        metric = Metric.fit(exemplars.vectors, codes)
        centered = metric.center(exemplars.vectors)
        described = described_labels(descriptions, names)
        grams = features.transform(exemplars.texts)
        pattern = Pattern.fit(centered, grams, codes, described, seed)
        return cls(names, features, metric, pattern)

    def new_index(self, generation: int = 0) -> ExemplarIndex:
        """An empty index that compares as this was fitted to."""
        return ExemplarIndex(self.metric.dimension, self.features, generation, self.metric)

    def index(self, exemplars: Labelled, descriptions: Labelled | None = None) -> ExemplarIndex:
        """The exemplars as a worker would hold them; ids are row numbers, those of the
        descriptions follow."""
        index = self.new_index()
        ids = range(len(exemplars))
        index.update(ids, exemplars.texts, exemplars.labels, exemplars.vectors)
        if descriptions is not None:
            describe(index, descriptions, len(exemplars))
        return index

    def weigh(self, index: ExemplarIndex, vectors: Floats, texts: Sequence[str]) -> Weighed:
        """Compare postings with the exemplars as they are now.

        A label that came after the fit gets a column of its own, behind the fitted ones.
        """
        voting = [index.label_names[code] for code in np.unique(index.codes)]
        names = self.names + tuple(x for x in voting if x not in set(self.names))
        codes = label_codes(index.label_names, names)[index.codes]
        divided = self.features.divide(texts, clauses)
        grams = divided.rows
        similarity = hybrid(*index.compare(vectors, grams))
        cast = vote(similarity, codes, len(names), index.described)
        centered = self.metric.center(np.asarray(vectors, dtype=np.float32))
        by_vector, by_text = self.pattern.scores(centered, grams, len(names))
        evidence = Evidence(
            cast.log_density,
            by_vector.astype(np.float64),
            by_text.astype(np.float64),
            cast.nearest.astype(np.float64),
        )
        return Weighed(
            names, codes, index.described, similarity, cast, evidence, divided, self.pattern
        )

    def evidence(self, index: ExemplarIndex, rows: Labelled) -> Evidence:
        """Weigh many rows, a block at a time."""
        return Evidence.concatenate(
            [
                self.weigh(
                    index,
                    rows.vectors[start : start + _BLOCK],
                    rows.texts[start : start + _BLOCK],
                ).evidence
                for start in range(0, len(rows), _BLOCK)
            ]
        )

    def second_jobs(
        self, texts: Sequence[str], pooled: npt.NDArray[np.float64], none: int
    ) -> Seconds:
        """The second jobs that many texts may have, by their scores ``pooled`` (b, k)."""
        return Seconds.concatenate(
            [
                second_jobs(
                    self.pattern,
                    self.features.divide(texts[start : start + _BLOCK], clauses),
                    pooled[start : start + _BLOCK],
                    none,
                )
                for start in range(0, len(texts), _BLOCK)
            ]
        )


def described_labels(descriptions: Labelled | None, names: Names) -> npt.NDArray[np.bool_]:
    """Which of the labels ``names`` have a description, bool (k,)."""
    labels = set() if descriptions is None else set(descriptions.labels)
    return np.array([name in labels for name in names], dtype=np.bool_)


def describe(index: ExemplarIndex, descriptions: Labelled, first_id: int) -> None:
    """Let descriptions vote in an index, under ids from ``first_id`` on."""
    index.update(
        range(first_id, first_id + len(descriptions)),
        descriptions.texts,
        descriptions.labels,
        descriptions.vectors,
        described=[True] * len(descriptions),
    )
