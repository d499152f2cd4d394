"""Categories by the keys that they have now."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from marketplace_ai.adapter import get_adapter
from marketplace_ai.db.alias import alias
from marketplace_ai.models import Exemplar, get_category_model

if TYPE_CHECKING:
    from collections.abc import Iterable


def stored_key(category: Any) -> str:
    """The key of a category as exemplars keep it: as long as their column."""
    length = Exemplar._meta.get_field("category_key").max_length
    return get_adapter().category_key(category)[:length]


def unique_keys(categories: Iterable[Any] | None = None) -> dict[Any, str]:
    """The key of each category, by primary key, without keys that several categories share.

    ``categories``: all by default.
    """
    if categories is None:
        categories = get_category_model()._base_manager.using(alias()).all()
    keys = {category.pk: stored_key(category) for category in categories}
    counts = Counter(keys.values())
    return {pk: key for pk, key in keys.items() if key and counts[key] == 1}
