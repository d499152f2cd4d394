"""How near two categories are in the host's tree."""

from __future__ import annotations

from collections.abc import Mapping


class Tree:
    """Categories and their parents; one that has none, or is not known, stands alone.

    None as a category, "fits none", is near to nothing.
    """

    def __init__(self, parents: Mapping[str, str | None]) -> None:
        self._parents = parents

    def in_line(self, one: str | None, other: str | None) -> bool:
        """Whether they are the same, or one lies above the other, at any depth."""
        return one == other or one in self._above(other) or other in self._above(one)

    def near(self, one: str | None, other: str | None) -> bool:
        """Whether they have the same parent, or one lies above the other."""
        if one is None or other is None:
            return False
        parent = self._parents.get(one)
        siblings = parent is not None and parent == self._parents.get(other)
        return siblings or self.in_line(one, other)

    def _above(self, category: str | None) -> set[str]:
        line: set[str] = set()
        while category is not None:
            category = self._parents.get(category)
            if category is None or category in line:  # the top, or a ring
                break
            line.add(category)
        return line
