"""Which rows of a claim are encoded together."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from marketplace_ai.encoding.token_batches import plan_batches

if TYPE_CHECKING:
    from .claim import Claimed

#: A token's characters, about, and the tokens that every text has besides: rather too few and too
#: many, so that a batch is hardly ever more than the encoder works on at a time.
CHARACTERS, BESIDES = 3, 4
#: Rows that are written in one transaction, however short they are.
MAX_ROWS = 1024

Rows = list[tuple["Claimed", str]]


def batches(rows: Rows, tokens: int, longest: int) -> list[Rows]:
    """Split a claim's rows with their texts: the most urgent first, texts of like length together.

    A batch has about ``tokens`` padded tokens, of a text at most ``longest``. Equal texts are in
    one batch, which encodes them once; rows of different urgency are not.
    """
    found: list[Rows] = []
    for priority in sorted({row.priority for row, _ in rows}, reverse=True):
        by_text: dict[str, Rows] = defaultdict(list)
        for row, text in rows:
            if row.priority == priority:
                by_text[text].append((row, text))
        texts = list(by_text)
        lengths = [min(len(text) // CHARACTERS + BESIDES, longest) for text in texts]
        for batch in plan_batches(lengths, tokens, MAX_ROWS):
            found.append([pair for place in batch for pair in by_text[texts[place]]])
    return found
