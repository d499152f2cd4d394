"""Triplet accuracy, and why 0.0275 by dot product in the model card means 0.9725."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace_ai.training.data.row_files import Triplet
from marketplace_ai.training.run.triplet_accuracy import evaluate_triplets, triplet_accuracy

NAMES = ("cosine", "dot", "euclidean", "manhattan")


def unit(seed: int, rows: int, size: int) -> list[np.ndarray]:
    vectors = np.random.default_rng(seed).normal(size=(3, rows, size))
    return list((vectors / np.linalg.norm(vectors, axis=2, keepdims=True)).astype(np.float32))


@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(2, 16))
def test_for_unit_vectors_dot_product_equals_cosine(seed: int, rows: int, size: int) -> None:
    figures = triplet_accuracy(*unit(seed, rows, size))
    assert figures["n"] == rows
    assert figures["dot_accuracy"] == pytest.approx(figures["cosine_accuracy"], abs=1.01 / rows)
    assert figures["euclidean_accuracy"] == pytest.approx(
        figures["cosine_accuracy"], abs=1.01 / rows
    )


def test_swapped_positives_and_negatives_give_the_complement() -> None:
    anchors, positives, negatives = unit(1, 500, 8)
    right = triplet_accuracy(anchors, positives, negatives)
    wrong = triplet_accuracy(anchors, negatives, positives)
    for name in NAMES:
        # As the evaluator did for the dot product when the card was made: 1 - 0.9725 = 0.0275.
        assert wrong[f"{name}_accuracy"] == pytest.approx(1 - right[f"{name}_accuracy"])


def test_a_tie_is_wrong() -> None:
    a = np.eye(2, dtype=np.float32)
    assert triplet_accuracy(a, a, a) == {"n": 2, **{f"{name}_accuracy": 0.0 for name in NAMES}}


def test_known_distances() -> None:
    anchor = np.array([[1.0, 0.0]], dtype=np.float32)
    # Nearer by angle, farther by length.
    far, near = np.array([[9.0, 1.0]], np.float32), np.array([[0.9, 0.4]], np.float32)
    figures = triplet_accuracy(anchor, far, near)
    assert (figures["cosine_accuracy"], figures["dot_accuracy"]) == (1, 1)
    assert (figures["euclidean_accuracy"], figures["manhattan_accuracy"]) == (0, 0)


class CountingEncoder:
    """An encoder that knows three texts and counts how often it is given one."""

    name, dimension = "counting", 2
    vectors = {"a": (1.0, 0.0), "b": (0.8, 0.6), "c": (0.0, 1.0)}

    def __init__(self) -> None:
        self.seen: list[str] = []

    def encode(self, texts: list[str]) -> np.ndarray:
        self.seen += texts
        return np.array([self.vectors[text] for text in texts], dtype=np.float32)


def test_each_text_is_encoded_once() -> None:
    encoder = CountingEncoder()
    rows = [Triplet("a", "b", "c"), Triplet("c", "b", "a"), Triplet("a", "c", "b")]
    figures = evaluate_triplets(encoder, rows)  # type: ignore[arg-type]
    assert sorted(encoder.seen) == ["a", "b", "c"]
    assert figures["cosine_accuracy"] == pytest.approx(2 / 3)
