"""Category names in the reader's language, for rows that store a name as text.

Decisions, audited postings, automation stops and shadow decisions store the name that a category
had, in the language of the worker. Pages show the category's own name in the active language, and
the stored name only where the category was deleted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.exceptions import ObjectDoesNotExist

from marketplace_ai.adapter import get_adapter
from marketplace_ai.audit.monitor import primary_key
from marketplace_ai.models import get_category_model

if TYPE_CHECKING:
    from collections.abc import Iterable


def stored_category_name(row: Any, prefix: str = "category") -> str:
    """The name of a row's category in the active language.

    Lists must load the relation with ``select_related``, or each row costs a query.

    Args:
        row: A decision, audited posting, automation stop or shadow decision.
        prefix: The foreign key, whose stored name is ``<prefix>_name``.

    Returns:
        The current name, or the stored one for a deleted category; "" without a category.

    Example:
        ``stored_category_name(audited, "answer")`` is the name of the answer of an audit.
    """
    try:
        category = getattr(row, prefix)
    except ObjectDoesNotExist:  # without a constraint, the key of a deleted category may stay
        category = None
    if category is not None:
        return get_adapter().category_name(category)
    name: str = getattr(row, f"{prefix}_name")
    return name


def category_names(keys: Iterable[Any]) -> dict[Any, str]:
    """The names of the categories that exist, by primary key; one query."""
    adapter = get_adapter()
    keys = set(keys) - {None}
    categories = get_category_model()._base_manager.in_bulk(list(keys)) if keys else {}
    return {key: adapter.category_name(category) for key, category in categories.items()}


def label_names(labels: Iterable[str | None]) -> dict[str | None, str]:
    """The names of the categories that exist, by the labels of a classifier; one query."""
    keys = {label: primary_key(label) for label in labels if label}
    names = category_names(keys.values())
    return {label: names[key] for label, key in keys.items() if key in names}
