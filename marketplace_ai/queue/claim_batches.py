"""Splits a claim into batches whose texts are encoded together."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from marketplace_ai.encoding.token_batches import estimate_tokens, plan_batches

if TYPE_CHECKING:
    from .claim import ClaimedRow

#: Rows that are written in one transaction, however short their texts are.
MAX_ROWS = 1024

Rows = list[tuple["ClaimedRow", str]]


def batches(rows: Rows, tokens: int, longest: int) -> list[Rows]:
    """Split a claim's rows with their texts: most urgent first, texts of similar length together.

    A batch has about ``tokens`` padded tokens; a text counts at most ``longest``. Equal texts go
    into one batch, which encodes them once; rows of different priority do not.
    """
    result: list[Rows] = []
    for priority in sorted({row.priority for row, _ in rows}, reverse=True):
        by_text: dict[str, Rows] = defaultdict(list)
        for row, text in rows:
            if row.priority == priority:
                by_text[text].append((row, text))
        texts = list(by_text)
        for batch in plan_batches(estimate_tokens(texts, longest), tokens, MAX_ROWS):
            result.append([pair for position in batch for pair in by_text[texts[position]]])
    return result
