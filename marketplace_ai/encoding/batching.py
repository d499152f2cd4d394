"""Which texts go to the device together."""

from __future__ import annotations

from collections.abc import Sequence


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
