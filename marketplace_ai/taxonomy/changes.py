"""Which categories have exemplars under another key than their own, or get some back."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from django.db import connections

from marketplace_ai.db.alias import alias
from marketplace_ai.models import get_category_model

from . import sql
from .category_keys import unique_keys


@dataclass(frozen=True, slots=True)
class Changes:
    """Categories whose exemplars are to be changed.

    Attributes:
        keys: the present key of each, by primary key.
        holders: by a key that exemplars have, the categories that these exemplars belong to.
    """

    keys: dict[Any, str]
    holders: dict[str, set[Any]]

    @classmethod
    def read(cls) -> Changes:
        """What is to be done now; two queries."""
        with connections[alias()].cursor() as cursor:
            cursor.execute(sql.KEYS_IN_USE)
            in_use = cursor.fetchall()
        pk: Any = get_category_model()._meta.pk
        present = unique_keys()
        holders: dict[str, set[Any]] = defaultdict(set)
        returning = set()
        for category, key in in_use:
            if category is None:
                returning.add(key)
            else:
                holders[key].add(pk.to_python(category))
        changed = {c for key, held in holders.items() for c in held if present.get(c, key) != key}
        # A key that the exemplars of a category without a key of its own still have is not free.
        taken = {key for key, held in holders.items() if held - present.keys()}
        keys = {
            category: key
            for category, key in present.items()
            if key not in taken and (category in changed or key in returning)
        }
        return cls(keys, holders)

    def some(self, count: int) -> dict[Any, str]:
        """About ``count`` of ``keys``, with all that must give up a key at the same time.

        Any of them: one that fails each time must not keep the others waiting.
        """
        chosen: dict[Any, str] = {}
        for first in random.sample(list(self.keys), len(self.keys)):
            if len(chosen) >= count:
                break
            chosen |= self.with_holders(first)
        return chosen

    def with_holders(self, first: Any) -> dict[Any, str]:
        """A category and those whose keys it takes, and so on; empty if nothing is to be done."""
        chosen: dict[Any, str] = {}
        following = [first]
        while following:
            category = following.pop()
            if category in self.keys and category not in chosen:
                chosen[category] = key = self.keys[category]
                following += self.holders.get(key, ())
        return chosen
