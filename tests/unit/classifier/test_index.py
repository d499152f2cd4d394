"""The resident index answers as a plain loop would, whatever was added and removed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketplace_ai.classifier.index import ExemplarIndex
from marketplace_ai.classifier.learned_metric import Metric
from marketplace_ai.classifier.ngrams import NgramFeatures
from marketplace_ai.classifier.vote import TEXT_WEIGHT, hybrid

DIMENSION = 8
WORDS = ["male", "stue", "takrenne", "gjerde", "bad", "flytte", "rør", "vask", "hekk", "gulv"]
FEATURES = NgramFeatures.fit(WORDS)


class Rows(NamedTuple):
    ids: list[int]
    texts: list[str]
    labels: list[str | None]
    vectors: np.ndarray


def rows(ids: list[int], version: int = 0) -> Rows:
    """Exemplars whose text, label and vector follow from their id and version."""
    vectors = np.array(
        [np.random.default_rng([i, version]).standard_normal(DIMENSION) for i in ids]
    )
    return Rows(
        ids,
        [f"{WORDS[i % 10]} {WORDS[(i // 3 + version) % 10]} {i}" for i in ids],
        [None if i % 5 == 0 else f"c{(i + version) % 3}" for i in ids],
        vectors.reshape(-1, DIMENSION).astype(np.float32),
    )


def postings(count: int = 4) -> tuple[np.ndarray, list[str]]:
    vectors = np.random.default_rng(99).standard_normal((count, DIMENSION)).astype(np.float32)
    texts = ["male stue", "ny takrenne på huset\nog vask", "", "flytte rør"][:count]
    return vectors, texts


def plain_loop(
    exemplars: Rows, vectors: np.ndarray, texts: list[str], metric: Metric
) -> tuple[np.ndarray, np.ndarray]:
    """Cosine in the metric and text similarity, one pair at a time, in double precision."""
    mean, matrix = metric.mean.astype(float), metric.matrix.astype(float)
    shape = (len(texts), len(exemplars.ids))
    cosine, text = np.zeros(shape), np.zeros(shape)
    for i, posting in enumerate(vectors.astype(float)):
        left = matrix @ (posting / np.linalg.norm(posting) - mean)
        left_gram = FEATURES.transform([texts[i]])
        for j, exemplar in enumerate(exemplars.vectors.astype(float)):
            right = matrix @ (exemplar / np.linalg.norm(exemplar) - mean)
            cosine[i, j] = left @ right / np.linalg.norm(left) / np.linalg.norm(right)
            text[i, j] = (left_gram @ FEATURES.transform([exemplars.texts[j]]).T).sum()
    return cosine, text


@pytest.mark.parametrize("learned", [False, True])
def test_similarities_and_the_hybrid_equal_a_plain_loop(learned: bool) -> None:
    exemplars = rows(list(range(1, 60)))
    unit = exemplars.vectors / np.linalg.norm(exemplars.vectors, axis=1, keepdims=True)
    metric = Metric.fit(unit, np.arange(59) % 7) if learned else Metric.identity(DIMENSION)
    index = ExemplarIndex(DIMENSION, FEATURES, metric=metric)
    index.update(*exemplars)
    vectors, texts = postings()
    cosine, text = index.compare(vectors, index.features.transform(texts))
    want_cosine, want_text = plain_loop(exemplars, vectors, texts, metric)
    np.testing.assert_allclose(cosine, want_cosine, atol=2e-6)
    np.testing.assert_allclose(text, want_text, atol=1e-6)
    want = (want_cosine + TEXT_WEIGHT * want_text) / (1 + TEXT_WEIGHT)
    np.testing.assert_allclose(hybrid(cosine, text), want, atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sets(st.integers(1, 30), max_size=12), st.sets(st.integers(1, 30), max_size=12)
        ),
        max_size=6,
    )
)
@pytest.mark.slow
def test_any_sequence_of_updates_equals_an_index_built_at_once(
    steps: list[tuple[set[int], set[int]]],
) -> None:
    index = ExemplarIndex(DIMENSION, FEATURES)
    state: dict[int, int] = {}
    for version, (added, removed) in enumerate(steps):
        for key in removed:
            state.pop(key, None)
        state.update(dict.fromkeys(added, version))
        index.update(*rows(sorted(added), version), removed)
    vectors, texts = postings()
    cosine, text = index.compare(vectors, index.features.transform(texts))
    assert sorted(index.ids) == sorted(state)
    assert len(index) == len(state)
    for column, key in enumerate(index.ids):
        row = rows([int(key)], state[int(key)])
        fresh = ExemplarIndex(DIMENSION, FEATURES)
        fresh.update(*row)
        want_cosine, want_text = fresh.compare(vectors, fresh.features.transform(texts))
        np.testing.assert_allclose(cosine[:, column], want_cosine[:, 0], atol=1e-6)
        np.testing.assert_allclose(text[:, column], want_text[:, 0], atol=1e-6)
        assert index.labels[column] == row.labels[0]


def test_removed_rows_do_not_pile_up() -> None:
    index = ExemplarIndex(DIMENSION, FEATURES)
    for version in range(50):
        index.update(*rows(list(range(20)), version))
    assert len(index) == 20
    assert len(index._vectors) < 60
    assert index._grams.shape[0] < 60


def test_an_empty_index_answers_with_no_columns() -> None:
    index = ExemplarIndex(DIMENSION, FEATURES)
    vectors, texts = postings()
    assert [part.shape for part in index.compare(vectors, index.features.transform(texts))] == [
        (4, 0),
        (4, 0),
    ]
    index.update(*rows([]), [1, 2])
    index.update(*rows([7]))
    index.update(*rows([]), [7])
    assert [part.shape for part in index.compare(vectors, index.features.transform(texts))] == [
        (4, 0),
        (4, 0),
    ]


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.ones((1, DIMENSION + 1)), "another encoder"),
        (np.zeros((1, DIMENSION)), "zero or not finite"),
        (np.full((1, DIMENSION), np.nan), "zero or not finite"),
    ],
)
def test_a_bad_update_changes_nothing(vectors: np.ndarray, message: str) -> None:
    index = ExemplarIndex(DIMENSION, FEATURES)
    index.update(*rows([1, 2]))
    with pytest.raises(ValueError, match=message):
        index.update([1], ["t"], ["c"], vectors.astype(np.float32), [2])
    assert list(index.ids) == [1, 2]


def test_columns_of_different_length_and_double_ids_are_refused() -> None:
    index = ExemplarIndex(DIMENSION, FEATURES)
    vectors = np.ones((2, DIMENSION), np.float32)
    with pytest.raises(ValueError, match="differ in length"):
        index.update([1, 2], ["t"], ["a"], vectors)
    with pytest.raises(ValueError, match="comes twice"):
        index.update([1, 1], ["t", "t"], ["a", "a"], vectors)
    assert len(index) == 0
