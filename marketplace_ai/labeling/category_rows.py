"""Which categories lack rows, the ones that lack most first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from marketplace_ai.guarantee.minimum_counts import (
    MIN_EXEMPLARS_FOR_GUARANTEE,
    MIN_EXEMPLARS_FOR_HEAD,
)


@dataclass(frozen=True, slots=True)
class CategoryRows:
    """A category with its ``exemplars``, and about how many ``waiting`` postings it is the first
    choice of."""

    label: str
    exemplars: int
    waiting: int

    @property
    def missing(self) -> int:
        """Rows that it lacks until a fit learns it as it learns the others."""
        return max(0, MIN_EXEMPLARS_FOR_HEAD - self.exemplars)

    @property
    def missing_for_guarantee(self) -> int:
        """Rows that it lacks until the overall guarantee covers it."""
        return max(0, MIN_EXEMPLARS_FOR_GUARANTEE - self.exemplars)


def lacking(exemplars: Mapping[str, int], waiting: Mapping[str, int]) -> list[CategoryRows]:
    """The categories with too few ``exemplars`` (by label): the fewest first, and of equal ones
    that which most postings wait for."""
    found = [CategoryRows(label, n, waiting.get(label, 0)) for label, n in exemplars.items()]
    few = [each for each in found if each.missing]
    return sorted(few, key=lambda each: (each.exemplars, -each.waiting, each.label))
