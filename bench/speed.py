"""How long fitting and deciding take, and what the index holds in memory."""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable, Iterator
from functools import cache, partial
from statistics import median

import numpy as np
import numpy.typing as npt

from marketplace_ai.classifier import Classifier, LabeledTexts
from marketplace_ai.classifier.index import ExemplarIndex
from marketplace_ai.classifier.ngrams import NgramFeatures

from .inputs import catalogue, encoded, labeled, public_split
from .rows import Benchmark, say

EXEMPLARS, DIMENSION, BATCH = 100_000, 1024, 64
#: Exemplars that the classifier which decides among all of them is fitted on.
FITTED = 2_000
REPEATS = 7


def benchmarks() -> Iterator[Benchmark]:
    for count, goal in ((2_000, 30), (12_000, 180)):
        yield Benchmark(
            f"fitting {count:,} exemplars",
            "s", goal, "lower", partial(fitting, count), public=True,
        )  # fmt: skip
    yield Benchmark(
        "deciding 64 against 100,000 exemplars, by the bare matrix product",
        "times", 3.0, "lower", deciding,
    )  # fmt: skip
    yield Benchmark(
        "index memory an exemplar, up to 100,000 by that at 25,000",
        "times", 1.1, "lower", memory,
    )  # fmt: skip


def fitting(count: int) -> float:
    return massive(count)[1]


@cache
def massive(count: int) -> tuple[Classifier, float]:
    """A classifier fitted on ``count`` rows of massive_sv-SE, and the seconds it took.

    The training rows shuffled; where they are too few, all of them and the first of dev.
    """
    train, dev = (labeled(rows) for rows in encoded(public_split("massive_sv-SE", "train", "dev")))
    chosen = np.random.default_rng(0).permutation(len(train))[:count]
    more = max(0, count - len(train))
    exemplars = LabeledTexts(
        [*(train.texts[i] for i in chosen), *dev.texts[:more]],
        np.vstack([train.vectors[chosen], dev.vectors[:more]]),
        [*(train.labels[i] for i in chosen), *dev.labels[:more]],
    )
    say(f"Fitting {len(exemplars):,} exemplars …")
    start = time.perf_counter()
    classifier = Classifier.fit(exemplars)
    return classifier, time.perf_counter() - start


def deciding() -> float:
    """Median seconds for one batch of 64 by those for ``vectors @ exemplars.T`` alone.

    Both are timed by turns, with the threads that the process has. The product is float32,
    (64, 1024) by (1024, 100,000), of the very vectors that the index holds.
    """
    random = np.random.default_rng(0)
    exemplars = synthetic(EXEMPLARS, random)
    postings = catalogue().calibration or catalogue().test
    texts = list(postings.texts[:: len(postings) // BATCH][:BATCH])
    queries = _unit(random.standard_normal((BATCH, DIMENSION), dtype=np.float32))
    queries = _unit(queries + exemplars.vectors[random.integers(EXEMPLARS, size=BATCH)])
    say(f"Fitting {FITTED:,} of {EXEMPLARS:,} exemplars …")
    classifier = Classifier.fit(exemplars.take(np.arange(FITTED)))
    index = classifier.new_index()
    index.update(range(EXEMPLARS), exemplars.texts, exemplars.labels, exemplars.vectors)
    del exemplars
    held = index.vectors
    whole, bare = [], []
    for turn in range(REPEATS + 1):
        seconds = (
            _timed(lambda: classifier.predict(index, queries, texts)),
            _timed(lambda: queries @ held.T),
        )
        if turn:  # the first turn only warms up
            whole.append(seconds[0])
            bare.append(seconds[1])
    say(f"deciding {median(whole):.3f} s, bare product {median(bare):.3f} s")
    return median(whole) / median(bare)


def memory() -> float:
    """Most bytes an exemplar in an index of 50,000 or 100,000, by those in one of 25,000.

    Counted by tracemalloc, which numpy reports its arrays to; each index is filled at once,
    as a worker fills it at its start.
    """
    exemplars = synthetic(EXEMPLARS, np.random.default_rng(0))
    features = NgramFeatures.fit(exemplars.texts[:FITTED])
    each = {}
    for size in (EXEMPLARS // 4, EXEMPLARS // 2, EXEMPLARS):
        gc.collect()
        tracemalloc.start()
        index = ExemplarIndex(DIMENSION, features)
        index.update(
            range(size), exemplars.texts[:size], exemplars.labels[:size], exemplars.vectors[:size]
        )
        gc.collect()
        each[size] = tracemalloc.get_traced_memory()[0] / size
        tracemalloc.stop()
        say(f"{size:,} exemplars: {each[size]:,.0f} bytes each")
        del index
    first, *others = each.values()
    return max(others) / first


def synthetic(count: int, random: np.random.Generator) -> LabeledTexts:
    """``count`` exemplars of the catalogue's categories: unit vectors about a centre for each
    category, and texts of the halves of two of its own exemplars."""
    texts: dict[str, list[list[str]]] = {}
    for text, label in zip(catalogue().train.texts, catalogue().train.labels, strict=True):
        if label is not None:
            texts.setdefault(label, []).append(text.split())
    names = sorted(texts)
    codes = random.integers(len(names), size=count)
    centers = _unit(random.standard_normal((len(names), DIMENSION), dtype=np.float32))
    vectors = random.standard_normal((count, DIMENSION), dtype=np.float32)
    vectors /= np.sqrt(DIMENSION, dtype=np.float32)
    vectors += centers[codes]
    said = []
    for code, pair in zip(codes, random.random((count, 2)), strict=True):
        own = texts[names[code]]
        first, second = (own[int(chance * len(own))] for chance in pair)
        said.append(" ".join(first[: (len(first) + 1) // 2] + second[len(second) // 2 :]))
    return LabeledTexts(said, _unit(vectors), [names[code] for code in codes])


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _unit(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors
