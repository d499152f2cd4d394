"""What the exemplars alone teach: text weights, the centre of vectors, the pattern."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marketplace_ai.neighbors.index import ExemplarIndex
from marketplace_ai.neighbors.ngrams import NgramFeatures

from .calibration import Evidence
from .labelled import Labelled
from .pattern import Pattern, center, label_codes
from .vote import Vote, hybrid, vote

Floats = npt.NDArray[np.float32]
Names = tuple[str | None, ...]

_BLOCK = 256


@dataclass(frozen=True, eq=False)
class Weighed:
    """b postings against an index: similarity (b, n), the vote, and the evidence for
    calibration; ``names`` are the columns' labels, ``codes`` (n,) the exemplars' columns."""

    names: Names
    codes: npt.NDArray[np.intp]
    similarity: Floats
    vote: Vote
    evidence: Evidence


@dataclass(frozen=True, eq=False)
class Ground:
    """Fitted on exemplars alone: labelled postings of the stream never reach it."""

    names: Names
    features: NgramFeatures
    mean: Floats
    pattern: Pattern

    @classmethod
    def fit(cls, exemplars: Labelled, names: Names, seed: int) -> Ground:
        features = NgramFeatures.fit(exemplars.texts)
        dimension = exemplars.vectors.shape[1]
        mean = exemplars.vectors.mean(axis=0) if len(exemplars) else np.zeros(dimension, np.float32)
        pattern = Pattern.fit(
            center(exemplars.vectors, mean),
            features.transform(exemplars.texts),
            label_codes(exemplars.labels, names),
            seed,
        )
        return cls(names, features, mean, pattern)

    def index(self, exemplars: Labelled) -> ExemplarIndex:
        """The exemplars as a worker would hold them; ids are row numbers."""
        index = ExemplarIndex(exemplars.vectors.shape[1], self.features)
        ids = range(len(exemplars))
        index.update(ids, exemplars.texts, exemplars.labels, exemplars.vectors)
        return index

    def weigh(self, index: ExemplarIndex, vectors: Floats, texts: Sequence[str]) -> Weighed:
        """Compare postings with the exemplars as they are now.

        A label that came after the fit gets a column of its own, behind the fitted ones.
        """
        names = self.names + tuple(x for x in index.label_names if x not in set(self.names))
        codes = label_codes(index.label_names, names)[index.codes]
        grams = self.features.transform(texts)
        cosine, text = index.compare(vectors, grams)
        vectors = np.asarray(vectors, dtype=np.float32)
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        similarity = hybrid(cosine, text, vectors, index.vectors, self.mean)
        cast = vote(similarity, codes, len(names))
        margins = self.pattern.margins(center(vectors, self.mean), grams, len(names))
        evidence = Evidence(
            cast.log_density, margins.astype(np.float64), cast.nearest.astype(np.float64)
        )
        return Weighed(names, codes, similarity, cast, evidence)

    def evidence(self, index: ExemplarIndex, rows: Labelled) -> Evidence:
        """Weigh many rows, a block at a time."""
        blocks = [
            self.weigh(
                index,
                rows.vectors[start : start + _BLOCK],
                rows.texts[start : start + _BLOCK],
            ).evidence
            for start in range(0, len(rows), _BLOCK)
        ]
        return Evidence(
            np.concatenate([block.log_density for block in blocks]),
            np.concatenate([block.margins for block in blocks]),
            np.concatenate([block.nearest for block in blocks]),
        )
