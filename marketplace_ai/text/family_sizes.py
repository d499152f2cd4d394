"""How large families are: what shows at a glance whether they were found, or run together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FamilySizes:
    """``rows`` of ``families``; the ``largest`` family has so many of them."""

    rows: int
    families: int
    largest: int

    @classmethod
    def count(cls, families: Iterable[int]) -> FamilySizes:
        """Count the numbers that ``find_families`` gave."""
        sizes = Counter(families).values()
        return cls(sum(sizes), len(sizes), max(sizes, default=0))

    def sentence(self, rows: str) -> str:
        """What the sizes mean; ``rows`` says what was counted."""
        largest = f", the largest of {self.largest:,}" if self.largest > 1 else ""
        return (
            f"The {self.rows:,} {rows} count as {self.families:,} families{largest}: rows of one "
            "origin and near-duplicates count once."
        )
