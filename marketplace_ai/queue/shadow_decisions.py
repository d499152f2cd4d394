"""What a candidate says of what comes in, kept beside the decisions and without effect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marketplace_ai.db.alias import alias
from marketplace_ai.models import get_category_model

from . import sql
from .statements import Step

if TYPE_CHECKING:
    from marketplace_ai.adapter import JobAdapter

    from .proposal import Encoded


def decided(
    adapter: JobAdapter, encoder_id: int, classifier_id: int | None, items: list[Encoded]
) -> list[Step]:
    """What stores the proposals of locked postings; a category that is gone is named by nothing.

    Nothing is locked for it: it points to categories that may go at any time.
    """
    if not items:
        return []
    keys = {item.proposal.category for item in items} - {None}
    there: dict[Any, Any] = get_category_model()._base_manager.using(alias()).in_bulk(keys)
    found = [there.get(item.proposal.category) for item in items]
    values = {
        "encoder": encoder_id,
        "classifier": classifier_id,
        "jobs": [item.job_id for item in items],
        "categories": [None if category is None else category.pk for category in found],
        "keys": ["" if c is None else adapter.category_key(c)[:200] for c in found],
        "names": ["" if c is None else adapter.category_name(c)[:300] for c in found],
        "probabilities": [item.proposal.probability for item in items],
        "outcomes": [str(item.proposal.outcome) for item in items],
        "digests": [item.digest for item in items],
    }
    return [(sql.SHADOW, values)]
