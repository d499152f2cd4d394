"""Figures against plain loops that share no code with them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace_ai.classifier import Prediction
from marketplace_ai.evaluation.figures import ScoredRow, figures
from marketplace_ai.evaluation.metrics import (
    among_first,
    bins,
    brier_score,
    coverage_curve,
    expected_calibration_error,
    share,
)
from marketplace_ai.guarantee.target import Target

chances = st.lists(st.tuples(st.floats(0, 1, width=32), st.booleans()), min_size=1, max_size=80)


def arrays(rows: list[tuple[float, bool]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([p for p, _ in rows]), np.array([r for _, r in rows], dtype=bool)


@given(chances)
def test_calibration_error_is_that_of_a_plain_loop(rows: list[tuple[float, bool]]) -> None:
    ranked = sorted(rows, key=lambda row: row[0])
    size, more = divmod(len(ranked), 15)
    expected, at = 0.0, 0
    for number in range(15):
        part = ranked[at : at + size + (number < more)]
        at += len(part)
        if part:
            expected += abs(sum(p for p, _ in part) - sum(r for _, r in part)) / len(rows)
    assert expected_calibration_error(*arrays(rows)) == pytest.approx(expected, abs=1e-9)
    assert max(part.n for part in bins(*arrays(rows))) <= size + 1


@given(chances)
def test_brier_score_is_that_of_a_plain_loop(rows: list[tuple[float, bool]]) -> None:
    expected = sum((p - (1.0 if right else 0.0)) ** 2 for p, right in rows) / len(rows)
    assert brier_score(*arrays(rows)) == pytest.approx(expected, abs=1e-9)


@given(chances, st.integers(0, 20))
def test_each_point_of_the_curve_is_what_its_threshold_decides(
    rows: list[tuple[float, bool]], others: int
) -> None:
    total = len(rows) + others
    curve = coverage_curve(*arrays(rows), total)
    thresholds = sorted({p for p, _ in rows}, reverse=True)
    assert len(curve.coverage) == len(thresholds)
    for coverage, precision, threshold in zip(
        curve.coverage, curve.precision, thresholds, strict=True
    ):
        decided = [right for p, right in rows if p >= threshold]
        assert coverage == pytest.approx(len(decided) / total)
        assert precision == pytest.approx(sum(decided) / len(decided))


def test_nothing_has_no_share_and_no_curve() -> None:
    assert share(0, 0) is None
    assert len(coverage_curve(np.zeros(0), np.zeros(0, dtype=bool), 5).coverage) == 0


def test_any_right_answer_among_the_first_counts() -> None:
    ranked = [["a", "b", "c", "d"], ["a", "b", "c", "d"], ["a"]]
    assert among_first(ranked, [("d", "b"), ("d",), ()], 3) == 1


PARENTS = {"wall": "inside", "pipe": "inside", "lawn": "outside"}


def judged(
    answers: tuple[str, ...],
    choices: dict[str | None, float],
    outcome: str = "review",
    parent: str | None = None,
    kind: str | None = None,
    second_categories: tuple[tuple[str, float], ...] = (),
) -> ScoredRow:
    label = next(iter(choices))
    best = next(choice for choice in choices if choice is not None)
    verdict = Prediction(
        label=label, probability=choices[label], threshold=None, outcome=outcome,
        best_category=best, parent=parent, choices=tuple(choices.items()), matches=(),
        score=0.0, head_share=0.0, other_share=0.0, second_categories=second_categories,
    )  # fmt: skip
    return ScoredRow("text", 2, answers, kind, verdict)


# fmt: off
ROWS = [
    judged(
        ("wall",), {"wall": 0.9, "pipe": 0.05}, "automatic", kind="terse",
        second_categories=(("pipe", 2.0),),
    ),
    judged(
        ("lawn", "wall"), {"wall": 0.8, "lawn": 0.1}, "automatic", kind="terse",
        second_categories=(("lawn", 3.0),),
    ),
    judged(("pipe",), {"wall": 0.6, "lawn": 0.2, None: 0.1, "pipe": 0.05}, kind="long"),
    judged(("pipe",), {"wall": 0.5, "pipe": 0.3}, "automatic_parent", "inside", kind="long"),
    judged(("lawn",), {None: 0.7, "lawn": 0.2}, "none", kind="long"),
    judged((), {None: 0.9, "wall": 0.06}, "none", kind="terse"),
    judged((), {None: 0.4, "lawn": 0.3}, "review", kind="terse"),
    judged((), {"lawn": 0.7, None: 0.2}, "automatic", kind="terse"),
    judged((), {"lawn": 0.6, None: 0.2}, "automatic_parent", "outside", kind="terse"),
]
# fmt: on


def test_figures_by_hand() -> None:
    found = figures(ROWS, PARENTS, Target())
    assert found["n"] == 9
    # Right with "none" left out: wall, wall of two, and the lawn that "none" came before.
    assert found["accuracy"] == pytest.approx(3 / 5)
    # The third row's pipe is third once "none" is left out.
    assert found["top3_accuracy"] == 1.0
    assert found["parent_accuracy"] == 1.0
    auto = found["auto"]
    assert (auto["n"], auto["errors"], auto["target_precision"]) == (3, 1, 0.97)
    assert auto["coverage"] == pytest.approx(3 / 9)
    assert auto["precision"] == pytest.approx(2 / 3)
    assert auto["p_value"] == pytest.approx(1 - 0.97**3)
    assert (found["auto_parent"]["n"], found["auto_parent"]["errors"]) == (2, 1)
    assert found["secondary"] == {"n": 2, "right": 1, "of": 1}
    assert found["none"] == {"n": 4, "rejected": 2, "recognized": 2}
    assert {kind: row["n"] for kind, row in found["by_kind"].items()} == {"long": 3, "terse": 6}


def test_calibration_is_of_the_best_category_even_where_none_came_first() -> None:
    said = np.array([0.9, 0.8, 0.6, 0.5, 0.2, 0.06, 0.3, 0.7, 0.6])
    right = np.array([1, 1, 0, 0, 1, 0, 0, 0, 0])
    found = figures(ROWS, PARENTS, Target())["calibration"]
    assert found["brier"] == pytest.approx(float(np.mean((said - right) ** 2)))
    # Fewer rows than bins: a bin each.
    assert found["ece"] == pytest.approx(float(np.mean(np.abs(said - right))))


def test_shares_of_nothing_are_none_and_parents_need_a_tree() -> None:
    found = figures([judged((), {None: 0.9, "wall": 0.06})], {"wall": None}, Target())
    assert found["accuracy"] is None
    assert found["parent_accuracy"] is None
    assert found["auto"]["precision"] is None
    assert found["by_kind"] == {}
