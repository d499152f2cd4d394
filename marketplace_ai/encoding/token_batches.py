"""Which texts go to the device together, and what is learned where memory runs out."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

#: Good batches at a smaller budget after which twice as much is tried again; doubled each time
#: that fails, so that a device that has truly become smaller is not asked for ever.
PATIENCE = 64


class TokenBudget:
    """Padded tokens that one device batch may have: ``now`` of ``full``.

    Halved where memory runs out, so that the next call starts with what fits, and won back by
    doubling after ``PATIENCE`` good batches: memory is also lost to a neighbor that goes away.
    """

    def __init__(self, full: int) -> None:
        self.full = full
        self.now = full
        self._patience = PATIENCE
        self._good = 0

    def ran_out(self, cost: int) -> None:
        """A batch of ``cost`` padded tokens did not fit."""
        if self.now < self.full:
            self._patience *= 2
        self.now = max(min(self.now, cost) // 2, 1)
        self._good = 0

    def fitted(self, cost: int) -> None:
        """A batch of ``cost`` padded tokens went through."""
        if self.now >= self.full or cost * 2 <= self.now:
            return  # nothing to win back, or too small to prove anything
        self._good += 1
        if self._good >= self._patience:
            self.now = min(self.now * 2, self.full)
            self._good = 0


def plan(lengths: Sequence[int], budget: int, max_items: int) -> list[list[int]]:
    """Batches of indices whose padded cost stays within ``budget``.

    ``lengths`` are in tokens. A batch is padded to its longest text, so its cost is longest
    times count, and texts of like length go together. The longest come first: a batch that
    does not fit into memory fails at once, not at the end. A text longer than the budget is a
    batch of its own. Each index occurs exactly once; equal lengths keep their order.
    """
    batches: list[list[int]] = []
    longest = 0
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        batch = batches[-1] if batches else None
        if batch is None or len(batch) >= max_items or longest * (len(batch) + 1) > budget:
            batches.append([index])
            longest = max(lengths[index], 1)
        else:
            batch.append(index)
    return batches


def shared(lengths: Sequence[int], budget: int, max_items: int, lanes: int) -> list[list[int]]:
    """``plan`` for ``lanes`` batches at a time: as many rounds, each of lanes that end together.

    The budget is made smaller until all lanes of the last round have a batch, of about the cost of
    the others.
    """
    whole = plan(lengths, budget, max_items)
    if lanes == 1 or not whole:
        return whole
    count = ceil(len(whole) / lanes) * lanes
    smaller = max(ceil(sum(lengths) / count), max(lengths))
    while smaller < budget:
        found = plan(lengths, smaller, max_items)
        if len(found) <= count:
            return found
        smaller += smaller // 20 + 1
    return whole
