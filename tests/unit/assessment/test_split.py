from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketplace_ai.assessment.split import choose_rows, split_rows

START = datetime(2026, 1, 1)


def days(*numbers: int | None) -> list[datetime | None]:
    return [None if n is None else START + timedelta(days=n) for n in numbers]


@settings(deadline=None, max_examples=80)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, 3), st.none() | st.integers(0, 400)),
        min_size=10,
        max_size=120,
    )
)
def test_families_are_whole_and_each_row_is_on_one_side(
    rows: list[tuple[int, int, int | None]],
) -> None:
    families = np.array([row[0] for row in rows])
    labels = np.array([row[1] for row in rows])
    dates = days(*(row[2] for row in rows))
    if len(set(families.tolist())) < 2:
        with pytest.raises(ValueError, match="one family"):
            split_rows(families, labels, dates)
        return
    split = split_rows(families, labels, dates)
    both = np.concatenate([split.older, split.held_out])
    assert sorted(both.tolist()) == list(range(len(rows)))
    assert len(split.older)
    assert len(split.held_out)
    assert not set(families[split.older].tolist()) & set(families[split.held_out].tolist())
    if split.since is not None:
        held_out = [dates[row] for row in split.held_out]
        assert all(date is not None and date >= split.since for date in held_out)


def test_the_newest_fifth_is_held_out() -> None:
    order = np.random.default_rng(0).permutation(100).tolist()
    split = split_rows(np.arange(100), np.zeros(100, np.intp), days(*order))
    assert sorted(order[row] for row in split.held_out) == list(range(80, 100))
    assert split.since == START + timedelta(days=80)


def test_a_family_is_as_old_as_its_first_row() -> None:
    families = np.array([*range(99), 0])  # the newest row repeats the oldest
    split = split_rows(families, np.zeros(100, np.intp), days(*range(100)))
    assert 99 in split.older


@pytest.mark.parametrize("dates", [[], days(*[7] * 100), days(*[None] * 100)])
def test_dates_that_tell_no_rows_apart_leave_a_draw(dates: list[datetime | None]) -> None:
    labels = np.arange(100) % 2
    split = split_rows(np.arange(100), labels, dates)
    assert split.since is None
    assert len(split.held_out) == 20
    assert labels[split.held_out].sum() == 10


def test_the_newest_rows_are_chosen_and_undated_ones_last() -> None:
    assert choose_rows(days(3, None, 9, 1), 4, 2).tolist() == [0, 2]
    assert choose_rows([], 4, 4).tolist() == [0, 1, 2, 3]
    assert len(set(choose_rows([], 50, 7).tolist())) == 7
