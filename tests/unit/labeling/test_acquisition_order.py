"""The acquisition order: what teaches most comes first, and nothing is asked twice."""

from __future__ import annotations

import numpy as np
import pytest

from marketplace_ai.labeling.acquisition_order import acquisition_order
from marketplace_ai.labeling.teaching_weights import Choices, teaching_weights

NOTHING = np.zeros((0, 16), np.float32)


def cloud(n: int, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((n, 16)) + 3
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def groups(*sizes: int) -> np.ndarray:
    """Tight groups of so many texts, far from each other."""
    random = np.random.default_rng(1)
    rows = [
        np.eye(16)[place] * 4 + 3 + 0.1 * random.standard_normal(16)
        for place, size in enumerate(sizes)
        for _ in range(size)
    ]
    return np.asarray([row / np.linalg.norm(row) for row in rows], np.float32)


def choices(category: list[int], probability: list[float], counts: list[int]) -> Choices:
    return Choices(np.array(category), np.array(probability), np.array(counts))


def test_the_order_is_a_permutation() -> None:
    rows = cloud(60)
    order = acquisition_order(rows, np.random.default_rng(0).random(60), cloud(5, 9), 60)
    assert sorted(order.tolist()) == list(range(60))


def test_it_names_no_more_than_was_asked_for_or_waits() -> None:
    rows, weights = cloud(30), np.ones(30)
    ten = acquisition_order(rows, weights, NOTHING, 10)
    assert ten.tolist() == acquisition_order(rows, weights, NOTHING, 30)[:10].tolist()
    assert len(acquisition_order(rows, weights, NOTHING, 100)) == 30


def test_an_empty_queue_has_an_empty_order() -> None:
    assert acquisition_order(NOTHING, np.zeros(0), cloud(3), 10).tolist() == []


def test_a_posting_that_waits_twice_is_asked_once() -> None:
    once = cloud(40)
    order = acquisition_order(np.vstack([once, once]), np.ones(80), NOTHING, 80) % 40
    assert sorted(order[:40].tolist()) == list(range(40))


def test_what_is_labeled_already_is_not_asked() -> None:
    rows = cloud(40)
    order = acquisition_order(rows, np.ones(40), rows[:20], 40)
    assert set(order[:20].tolist()) == set(range(20, 40))


def test_the_typical_come_before_the_odd_one_and_one_of_each_kind_first() -> None:
    rows = groups(20, 10, 1)
    order = acquisition_order(rows, np.ones(31), NOTHING, 31)
    assert order[0] < 20 <= order[1] < 30


def test_the_uncertain_come_first_when_all_else_is_equal() -> None:
    rows = groups(5, 5, 5)
    sure = choices([0] * 15, [0.9] * 10 + [0.2] * 5, [8])
    order = acquisition_order(rows, teaching_weights(sure, 15), NOTHING, 1)
    assert order[0] >= 10


def test_categories_that_lack_rows_come_first_when_all_else_is_equal() -> None:
    rows = groups(5, 5, 5)
    few = choices([0] * 5 + [1] * 5 + [2] * 5, [0.5] * 15, [20, 1, 20])
    order = acquisition_order(rows, teaching_weights(few, 15), NOTHING, 1)
    assert 5 <= order[0] < 10


def test_a_posting_without_a_proposal_is_of_a_category_that_has_no_row() -> None:
    rows = groups(5, 5)
    unknown = choices([0] * 5 + [-1] * 5, [0.0] * 10, [3])
    weights = teaching_weights(unknown, 10)
    assert weights[5] > weights[0]
    assert acquisition_order(rows, weights, NOTHING, 1)[0] >= 5


def test_only_proportions_of_weights_and_directions_of_vectors_matter() -> None:
    rows, weights = cloud(50), np.random.default_rng(2).random(50)
    order = acquisition_order(rows, weights, cloud(5, 9), 50).tolist()
    assert acquisition_order(rows, weights * 1000, cloud(5, 9), 50).tolist() == order
    assert acquisition_order(rows * 7, weights, cloud(5, 9) * 7, 50).tolist() == order
    moved = acquisition_order(rows + 0.5, weights, cloud(5, 9) + 0.5, 50).tolist()
    assert moved == order


def test_where_nothing_is_left_to_learn_all_still_have_a_place() -> None:
    order = acquisition_order(cloud(10), np.zeros(10), NOTHING, 10)
    assert sorted(order.tolist()) == list(range(10))


def test_weights_that_are_none_are_refused() -> None:
    for weights in (np.ones(3), np.array([1, np.nan]), np.array([1, -1.0])):
        with pytest.raises(ValueError, match="needs a weight"):
            acquisition_order(cloud(2), weights, NOTHING, 2)
