"""The order in which votes stand for the others."""

from __future__ import annotations

import numpy as np
import pytest

from marketplace_ai.classifier.exemplar_model import ExemplarModel
from marketplace_ai.classifier.linear_heads import to_class_ids
from marketplace_ai.condensing import kernel_herding
from marketplace_ai.condensing.kernel_herding import herding_order, herding_ranks
from tests.unit.classifier.factories import TRADES, world


def kernels(points: np.ndarray) -> np.ndarray:
    return np.exp(-((points[:, None] - points[None]) ** 2))


def test_every_beginning_is_spread_as_all_are() -> None:
    random = np.random.default_rng(0)
    points = np.concatenate([random.normal(0, 1, 300), random.normal(8, 1, 100)])
    matrix = kernels(points)
    order = herding_order(matrix)
    for votes in (8, 20, 60):
        chosen = order[:votes]
        # Three of four lie about 0, as of all.
        assert abs((points[chosen] < 4).mean() - 0.75) < 0.06
        away = np.abs(matrix[:, chosen].mean(axis=1) - matrix.mean(axis=1)).max()
        drawn = [random.choice(400, votes, replace=False) for _ in range(20)]
        by_chance = [
            np.abs(matrix[:, rows].mean(axis=1) - matrix.mean(axis=1)).max() for rows in drawn
        ]
        assert away < min(by_chance)


def test_equal_rows_are_taken_last() -> None:
    order = herding_order(kernels(np.array([0.0, 0.0, 3.0, 6.0])))
    assert set(order[:3].tolist()) == {0, 2, 3}


def test_each_category_is_ordered_for_itself_and_parts_take_turns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = world(40, 40, seed=1)
    classes = (*sorted(TRADES), None)
    codes = to_class_ids(rows.labels, classes)
    model = ExemplarModel.fit(rows, classes, 0, np.zeros(len(classes), dtype=bool))
    placed: list[int] = []
    ranks = herding_ranks(model, rows, codes, 0, placed.append)
    for code in range(len(classes)):
        assert sorted(ranks[codes == code].tolist()) == list(range(40))
    assert sum(placed) == len(rows)
    monkeypatch.setattr(kernel_herding, "_PART", 15)
    in_parts = herding_ranks(model, rows, codes, 0, placed.append)
    for code in range(len(classes)):
        assert in_parts[codes == code].min() == 0
        assert len(set(in_parts[codes == code].tolist())) == 40
