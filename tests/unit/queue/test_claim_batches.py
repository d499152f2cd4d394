"""A claim's rows as batches: the most urgent first, texts of like length together."""

from __future__ import annotations

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from marketplace_ai.encoding.token_batches import CHARACTERS_PER_TOKEN, SPECIAL_TOKENS
from marketplace_ai.queue.claim import ClaimedRow
from marketplace_ai.queue.claim_batches import Rows, batches

LONGEST = 24
NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def rows_of(texts: list[tuple[str, int]]) -> Rows:
    return [
        (ClaimedRow(number, number, False, 0, priority, NOW), text)
        for number, (text, priority) in enumerate(texts)
    ]


def tokens(text: str) -> int:
    return min(len(text) // CHARACTERS_PER_TOKEN + SPECIAL_TOKENS, LONGEST)


@given(
    st.lists(st.tuples(st.text("ab ", max_size=90), st.sampled_from([0, 50, 100])), max_size=60),
    st.integers(1, 400),
)
def test_each_row_once_within_the_tokens(texts: list[tuple[str, int]], most: int) -> None:
    rows = rows_of(texts)

    found = batches(rows, most, LONGEST)

    assert sorted(row.id for batch in found for row, _ in batch) == list(range(len(rows)))
    urgency = [{row.priority for row, _ in batch} for batch in found]
    assert all(len(priorities) == 1 for priorities in urgency)
    order = [min(priorities) for priorities in urgency]
    assert order == sorted(order, reverse=True)
    where: dict[tuple[str, int], set[int]] = {}
    for number, batch in enumerate(found):
        distinct = {text for _, text in batch}
        cost = max(map(tokens, distinct)) * len(distinct)
        assert cost <= most or len(distinct) == 1
        for row, text in batch:
            where.setdefault((text, row.priority), set()).add(number)
    assert all(len(numbers) == 1 for numbers in where.values())


def test_nothing_is_no_batch() -> None:
    assert batches([], 100, LONGEST) == []
