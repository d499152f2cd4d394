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
        counted = f"The {self.rows:,} {rows} count as {self.families:,} families"
        if self.families == self.rows:
            return f"{counted}: no two are of one origin or near-duplicates."
        return (
            f"{counted}, the largest of {self.largest:,}: those of one origin and near-duplicates "
            "count once."
        )
