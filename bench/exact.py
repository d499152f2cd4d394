"""What must come out equal to an independent or a plainer computation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from scipy.stats import binomtest

from marketplace_ai.classifier.index import ExemplarIndex
from marketplace_ai.classifier.ngrams import NgramFeatures
from marketplace_ai.guarantee.bounds import error_lower_bound, error_upper_bound

from .inputs import catalogue
from .rows import Benchmark

EXEMPLARS, POSTINGS, DIMENSION = 500, 64, 384


def benchmarks() -> Iterator[Benchmark]:
    yield Benchmark("error bounds against scipy's", "", 1e-9, "lower", bounds)
    yield Benchmark("neighbours against a plain loop", "", 1e-5, "lower", neighbors)


def bounds() -> float:
    """Largest difference of both bounds to scipy's exact interval, found there by bisection."""
    largest = 0.0
    for confidence in (0.9, 0.95, 0.99):
        for rows in (1, 2, 10, 99, 157, 678, 5_000):
            for errors in sorted({0, 1, 2, 3, rows // 30, rows // 2, rows - 1, rows}):
                if errors > rows:
                    continue
                for bound, side, end in (
                    (error_upper_bound, "less", 1),
                    (error_lower_bound, "greater", 0),
                ):
                    test = binomtest(errors, rows, alternative=side)
                    theirs = test.proportion_ci(confidence, method="exact")[end]
                    largest = max(largest, abs(bound(errors, rows, confidence) - theirs))
    return float(largest)


def neighbors() -> float:
    """Largest difference of an index without a learned metric to float64 loops over 500
    exemplars: the cosine of the vectors, and that of the weighted n-grams."""
    random = np.random.default_rng(0)
    inputs = catalogue()
    chosen = random.permutation(len(inputs.train))[:EXEMPLARS]
    texts = [inputs.train.texts[i] for i in chosen]
    asked = list(inputs.test.texts[:POSTINGS])
    features = NgramFeatures.fit(inputs.train.texts)
    vectors = random.standard_normal((EXEMPLARS, DIMENSION)).astype(np.float32)
    queries = random.standard_normal((POSTINGS, DIMENSION)).astype(np.float32)
    index = ExemplarIndex(DIMENSION, features)
    index.update(range(EXEMPLARS), texts, [None] * EXEMPLARS, vectors)
    cosine, text = index.compare(queries, index.features.transform(asked))

    known, wanted = _grams(features, texts), _grams(features, asked)
    largest = 0.0
    for row, query in enumerate(queries.astype(np.float64)):
        for column, vector in enumerate(vectors.astype(np.float64)):
            plain = query @ vector / np.sqrt((query @ query) * (vector @ vector))
            common = wanted[row].keys() & known[column].keys()
            shared = sum(wanted[row][gram] * known[column][gram] for gram in common)
            largest = max(
                largest, abs(cosine[row, column] - plain), abs(text[row, column] - shared)
            )
    return float(largest)


def _grams(features: NgramFeatures, texts: list[str]) -> list[Mapping[int, float]]:
    rows = features.transform(texts).astype(np.float64)
    return [dict(zip(row.indices.tolist(), row.data.tolist(), strict=True)) for row in rows]
