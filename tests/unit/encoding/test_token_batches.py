"""``plan_batches`` and ``plan_streams``: each text in one batch, no batch above the budget."""

from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from marketplace_ai.encoding.token_batches import plan_batches, plan_streams

LENGTHS = st.lists(st.integers(1, 600), min_size=1, max_size=80)


@given(st.lists(st.integers(0, 600)), st.integers(1, 2000), st.integers(1, 40))
def test_each_index_once_within_budget_and_count(
    lengths: list[int], budget: int, most: int
) -> None:
    batches = plan_batches(lengths, budget, most)

    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        assert 1 <= len(batch) <= most
        cost = max(lengths[index] for index in batch) * len(batch)
        assert cost <= budget or len(batch) == 1


@given(st.lists(st.integers(1, 600)), st.integers(1, 2000))
def test_longest_first_and_in_order_where_equal(lengths: list[int], budget: int) -> None:
    order = [index for batch in plan_batches(lengths, budget, 1000) for index in batch]

    assert order == sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))


def test_a_batch_is_filled_to_the_budget() -> None:
    assert plan_batches([10, 10, 5, 5, 5, 5], 20, 100) == [[0, 1], [2, 3, 4, 5]]
    assert plan_batches([5] * 5, 100, 2) == [[0, 1], [2, 3], [4]]
    assert plan_batches([900, 4, 4], 10, 100) == [[0], [1, 2]]


@given(LENGTHS, st.integers(1, 2000), st.integers(1, 100), st.integers(1, 9))
def test_streams_finish_together(lengths: list[int], budget: int, most: int, streams: int) -> None:
    batches = plan_streams(lengths, budget, most, streams)

    assert sorted(chain.from_iterable(batches)) == list(range(len(lengths)))
    cost = [max(lengths[i] for i in batch) * len(batch) for batch in batches]
    assert all(c <= budget or len(b) == 1 for c, b in zip(cost, batches, strict=True))
    whole = plan_batches(lengths, budget, most)
    # No additional round.
    assert -(-len(batches) // streams) == -(-len(whole) // streams)


def test_few_texts_are_divided_among_the_streams() -> None:
    assert [len(batch) for batch in plan_streams([10] * 24, 512, 512, 4)] == [6, 6, 6, 6]
