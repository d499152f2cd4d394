"""What is counted of later rows, and when a fall is a fall."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import numpy as np
import pytest

from marketplace_ai.evaluation import time_chart
from marketplace_ai.evaluation.output import percent
from marketplace_ai.evaluation.past_fits import LaterRows, PastFit, PastFits
from marketplace_ai.evaluation.time_chart import draw
from marketplace_ai.evaluation.time_figures import TimeFigures, time_figures
from marketplace_ai.evaluation.time_output import conclusion, lines
from marketplace_ai.guarantee.target import Target

TARGET = Target(0.9)


def later_rows(cells: list[tuple[int, int, int, int, int, int]]) -> LaterRows:
    """From (fit, period, rows, right, automatic, wrong among these); each row is its own family."""
    columns: list[list[int]] = [[] for _ in range(5)]
    for fit, period, rows, right, automatic, wrong in cells:
        for number in range(rows):
            is_automatic = number < automatic
            values = (
                fit, period, number < right, is_automatic, is_automatic and number >= wrong,
            )  # fmt: skip
            for column, value in zip(columns, values, strict=True):
                column.append(int(value))
    fit, period, right, automatic, automatic_right = map(np.array, columns)
    numbers, label = np.arange(len(fit)), np.zeros(len(fit), dtype=np.intp)
    return LaterRows(
        fit, period, numbers, numbers, label, np.zeros(len(fit), dtype=np.bool_),
        right.astype(bool), automatic.astype(bool), automatic_right.astype(bool),
    )  # fmt: skip


def figures(later: LaterRows, fits: int = 1) -> TimeFigures:
    past = [PastFit(datetime(2026, 1 + number, 1), 100, 3, 0.5) for number in range(fits)]
    return time_figures(PastFits(TARGET, past, later, 0, 0))


def test_shares_of_each_period() -> None:
    found = figures(later_rows([(0, 0, 100, 90, 60, 3), (0, 2, 50, 30, 20, 10)]))
    first, third = found.periods
    assert (str(first.period), str(third.period)) == ("0-1", "3-6")
    assert (first.rows, first.first_choice.share, first.automatic.share) == (100, 0.9, 0.6)
    assert first.precision.share == pytest.approx(57 / 60)
    assert first.first_choice_change is None
    assert third.first_choice_change is not None
    assert third.first_choice_change.change == pytest.approx(-0.3)
    assert third.precision.supports(TARGET) == "refuted"
    assert "The first choice falls by up to 30.0 points" in conclusion(found)
    assert "3-6 months after a fit, less than 90% is right: refit before" in conclusion(found)


@pytest.mark.parametrize(
    ("automatic", "wrong", "expected"), [(80, 0, "kept"), (40, 2, "open"), (40, 20, "refuted")]
)
def test_what_a_precision_says_of_the_target(automatic: int, wrong: int, expected: str) -> None:
    [first] = figures(later_rows([(0, 0, 100, 90, automatic, wrong)])).periods
    assert first.precision.supports(TARGET) == expected


def test_nothing_automatic_says_nothing_of_the_target() -> None:
    [first] = figures(later_rows([(0, 0, 10, 9, 0, 0)])).periods
    assert first.precision.share is None
    assert first.precision.supports(TARGET) is None


def test_an_early_fit_is_compared_with_itself() -> None:
    """Early fits have learned less and alone have rows after six months: pooled, that is a fall."""
    found = figures(
        later_rows([(0, 0, 300, 180, 0, 0), (0, 3, 300, 180, 0, 0), (1, 0, 300, 270, 0, 0)]), 2
    )
    first, last = found.periods
    assert last.first_choice.share == 0.6
    assert first.first_choice.share == 0.75
    assert last.first_choice_change is not None
    assert last.first_choice_change.change == pytest.approx(0)
    assert found.largest_fall is None
    assert "shows no fall" in conclusion(found)


def test_a_row_that_several_fits_decided_counts_once() -> None:
    once = later_rows([(0, 0, 40, 36, 30, 1)])
    twice = LaterRows(*(np.concatenate([column, column]) for column in vars(once).values()))
    [alone], [both] = figures(once).periods, figures(twice).periods
    assert (both.rows, both.decisions) == (40, 80)
    assert both.first_choice.interval == pytest.approx(alone.first_choice.interval)


def test_the_first_month_of_a_fit_weighs_as_much_as_its_later_rows() -> None:
    cells = [
        (0, 0, 10, 5, 0, 0), (0, 1, 90, 45, 0, 0), (1, 0, 90, 81, 0, 0), (1, 1, 10, 9, 0, 0),
    ]  # fmt: skip
    [_, later] = figures(later_rows(cells), 2).periods
    assert later.first_choice_change is not None
    assert later.first_choice_change.change == pytest.approx(0)


def drawn(share: Callable[[int], float], seed: int) -> TimeFigures:
    """300 rows a month for a year, and three fits that get better."""
    random = np.random.default_rng(seed)
    cells = []
    for fit, skill in enumerate((0.75, 0.8, 0.85)):
        for period, months in enumerate((1, 2, 3, 6 - 2 * fit)):
            rows = 100 * months
            right = int(random.binomial(rows, skill * share(period)))
            cells.append((fit, period, rows, right, 0, 0))
    return figures(later_rows(cells), 3)


def test_no_fall_is_shown_where_there_is_none() -> None:
    falls = [drawn(lambda period: 1, seed).largest_fall for seed in range(40)]
    assert sum(fall is not None for fall in falls) <= 2


def test_a_fall_is_shown_where_there_is_one() -> None:
    falls = [drawn(lambda period: 1 - 0.06 * period, seed).largest_fall for seed in range(20)]
    assert sum(fall is not None for fall in falls) >= 18
    assert all(fall.change < -0.04 for fall in falls if fall is not None)


def test_a_category_that_the_fit_did_not_know_is_counted() -> None:
    rows = later_rows([(0, 0, 10, 5, 0, 0)])
    rows.label[:4] = 1
    rows.new_category[:4] = True
    [first] = figures(rows).periods
    assert first.new_category.share == 0.4
    assert (first.categories, first.new_categories) == (2, 1)


def test_the_lines_for_people() -> None:
    found = figures(later_rows([(0, 0, 1200, 900, 600, 3), (0, 1, 50, 30, 20, 1)]))
    said = list(lines(found))
    assert "fits on what came before 2026-01-01" in said[0]
    assert said[2].split()[:3] == ["0-1", "1,200", "75.0%"]
    assert all(len(line) <= 104 for line in said[1:4])


WORDS = time_chart.Words("a title", "<first>", "automatic", "of these right", "months")


def test_the_chart_is_text_and_numbers() -> None:
    found = figures(later_rows([(0, 0, 100, 90, 60, 3), (0, 2, 50, 30, 0, 0)]))
    svg = draw(found, WORDS, percent)
    assert svg.startswith("<svg ")
    assert "&lt;first&gt;" in svg
    assert "<first>" not in svg
    # Two points of two curves, one of the third, which has nothing automatic later on.
    assert svg.count("<circle") == 5 + 3
    assert "nan" not in svg


def test_the_chart_of_one_period() -> None:
    assert "<svg " in draw(figures(later_rows([(0, 3, 9, 9, 9, 0)])), WORDS, percent)
