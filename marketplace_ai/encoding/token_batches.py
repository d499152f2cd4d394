"""Device batches: which texts are encoded together, and how many tokens they may have."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

#: Estimates of a token's characters and of the special tokens in each text. Rather too few and too
#: many, so that a batch is hardly ever more than the encoder takes at once.
CHARACTERS_PER_TOKEN, SPECIAL_TOKENS = 3, 4
#: Successful batches at a reduced budget after which twice as much is tried again. Doubled each
#: time that fails, so that a device that has lost memory for good is not asked forever.
GOOD_BATCHES_TO_GROW = 64


class TokenBudget:
    """Padded tokens that one device batch may have: ``now``, at most ``full``.

    Halved when memory runs out, so that the next call starts with what fits. Doubled again after
    ``GOOD_BATCHES_TO_GROW`` good batches: another process may have taken the memory for a while.
    """

    def __init__(self, full: int) -> None:
        self.full = full
        self.now = full
        self._good_batches_needed = GOOD_BATCHES_TO_GROW
        self._good_batches = 0

    def ran_out(self, cost: int) -> None:
        """Note that a batch of ``cost`` padded tokens did not fit."""
        if self.now < self.full:
            self._good_batches_needed *= 2
        self.now = max(min(self.now, cost) // 2, 1)
        self._good_batches = 0

    def fitted(self, cost: int) -> None:
        """Note that a batch of ``cost`` padded tokens did fit."""
        if self.now >= self.full or cost * 2 <= self.now:
            return  # nothing to win back, or too small to prove anything
        self._good_batches += 1
        if self._good_batches >= self._good_batches_needed:
            self.now = min(self.now * 2, self.full)
            self._good_batches = 0


def estimate_tokens(texts: Sequence[str], longest: int) -> list[int]:
    """About how many tokens each text has, where one counts at most ``longest``."""
    return [min(len(text) // CHARACTERS_PER_TOKEN + SPECIAL_TOKENS, longest) for text in texts]


def plan_batches(lengths: Sequence[int], budget: int, max_texts: int) -> list[list[int]]:
    """Batches of indices whose padded cost stays within ``budget``.

    ``lengths`` are in tokens. A batch is padded to its longest text, so its cost is longest
    times count, and texts of similar length go together. The longest come first: a batch that
    does not fit into memory then fails at once, not at the end. A text longer than the budget is
    a batch by itself. Each index occurs exactly once; equal lengths keep their order.
    """
    batches: list[list[int]] = []
    longest = 0
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        batch = batches[-1] if batches else None
        if batch is None or len(batch) >= max_texts or longest * (len(batch) + 1) > budget:
            batches.append([index])
            longest = max(lengths[index], 1)
        else:
            batch.append(index)
    return batches


def plan_streams(
    lengths: Sequence[int], budget: int, max_texts: int, num_streams: int
) -> list[list[int]]:
    """``plan_batches`` for several streams, so that all of them finish at about the same time.

    There are as many rounds of ``num_streams`` batches as without streams. The budget is reduced
    until every stream has a batch in the last round, of about the same cost as the others.
    """
    batches = plan_batches(lengths, budget, max_texts)
    if num_streams == 1 or not batches:
        return batches
    count = ceil(len(batches) / num_streams) * num_streams
    smaller = max(ceil(sum(lengths) / count), max(lengths))
    while smaller < budget:
        even = plan_batches(lengths, smaller, max_texts)
        if len(even) <= count:
            return even
        smaller += smaller // 20 + 1
    return batches
