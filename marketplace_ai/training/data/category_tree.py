"""The category tree: which categories are on one path from the root, and which are near."""

from __future__ import annotations

from collections.abc import Mapping


class CategoryTree:
    """Categories and their parents; a category without a known parent is a root.

    None as a category ("fits none") is near no other.
    """

    def __init__(self, parents: Mapping[str, str | None]) -> None:
        self._parents = parents

    def on_one_path(self, one: str | None, other: str | None) -> bool:
        """Whether they are equal, or one is an ancestor of the other."""
        return one == other or one in self._ancestors(other) or other in self._ancestors(one)

    def is_near(self, one: str | None, other: str | None) -> bool:
        """Whether they are siblings, or on one path."""
        if one is None or other is None:
            return False
        parent = self._parents.get(one)
        are_siblings = parent is not None and parent == self._parents.get(other)
        return are_siblings or self.on_one_path(one, other)

    def _ancestors(self, category: str | None) -> set[str]:
        ancestors: set[str] = set()
        while category is not None:
            category = self._parents.get(category)
            if category is None or category in ancestors:  # a root, or a cycle
                break
            ancestors.add(category)
        return ancestors
