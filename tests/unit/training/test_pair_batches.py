"""Batches of pairs: each category at most once, and no more rows left out than necessary."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace_ai.training.data.pair_batches import (
    category_batches,
    connected_categories,
)

sizes = st.integers(2, 9)
category_lists = st.lists(st.integers(0, 6), max_size=60)


def unique_keys(categories: list[int]) -> list[frozenset[str]]:
    return [frozenset({f"anchor {row}", f"positive {row}"}) for row in range(len(categories))]


@given(category_lists, sizes, st.integers(0, 99))
def test_no_batch_has_a_category_twice_and_no_row_comes_twice(
    categories: list[int], size: int, seed: int
) -> None:
    epoch = list(category_batches(categories, unique_keys(categories), size, seed))
    for batch in epoch:
        assert 2 <= len(batch) <= size
        assert len({categories[row] for row in batch}) == len(batch)
    used = Counter(row for batch in epoch for row in batch)
    assert set(used.values()) <= {1}


@given(category_lists, sizes)
def test_only_one_category_is_left_out(categories: list[int], size: int) -> None:
    used = {
        row
        for batch in category_batches(categories, unique_keys(categories), size, 0)
        for row in batch
    }
    left = {categories[row] for row in range(len(categories)) if row not in used}
    assert len(left) <= 1


@given(st.integers(2, 12), st.integers(1, 20))
def test_equal_categories_fill_every_batch(names: int, each: int) -> None:
    categories = [name for name in range(names) for _ in range(each)]
    size = min(names, 4)
    epoch = [len(batch) for batch in category_batches(categories, unique_keys(categories), size, 0)]
    assert sum(epoch) >= len(categories) - 1
    assert epoch.count(size) >= len(epoch) - 1


def test_a_text_of_two_categories_is_not_its_own_negative() -> None:
    rows = [
        frozenset({"male", "maling"}),
        frozenset({"male", "beise"}),
        frozenset({"tak", "taket"}),
    ]
    for seed in range(20):
        for batch in category_batches(["a", "b", "c"], rows, 3, seed):
            assert not {0, 1} <= set(batch)


def test_another_epoch_has_other_batches() -> None:
    categories = [row % 8 for row in range(64)]
    first, again, second = (
        list(category_batches(categories, unique_keys(categories), 8, seed)) for seed in (1, 1, 2)
    )
    assert first == again != second


def test_pairs_that_share_a_text_are_of_one_category() -> None:
    numbers = connected_categories([("a", "b"), ("c", "d"), ("b", "e"), ("d", "f"), ("x", "y")])
    assert numbers[0] == numbers[2] != numbers[1] == numbers[3]
    assert len(set(numbers)) == 3


@pytest.mark.parametrize("seed", range(5))
def test_a_row_without_a_partner_does_not_end_the_epoch(seed: int) -> None:
    keys = [*(frozenset({"b", "c", number}) for number in range(3)), frozenset("b"), frozenset("c")]
    assert [sorted(batch) for batch in category_batches([0, 0, 0, 1, 2], keys, 4, seed)] == [[3, 4]]
