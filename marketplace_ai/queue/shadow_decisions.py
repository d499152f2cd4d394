"""Shadow decisions: what a candidate would decide about new postings, stored without effect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marketplace_ai.db.alias import alias
from marketplace_ai.models import get_category_model

from . import sql
from .statements import Statement

if TYPE_CHECKING:
    from marketplace_ai.adapter import JobAdapter

    from .proposal import EncodedPosting


def upsert_statements(
    adapter: JobAdapter, encoder_id: int, classifier_id: int | None, items: list[EncodedPosting]
) -> list[Statement]:
    """Statements that store a candidate's proposals about locked postings.

    A category that was deleted is stored as none. Categories are not locked: a shadow decision
    may refer to one that is deleted at any time.
    """
    if not items:
        return []
    keys = {item.proposal.category for item in items} - {None}
    existing: dict[Any, Any] = get_category_model()._base_manager.using(alias()).in_bulk(keys)
    categories = [existing.get(item.proposal.category) for item in items]
    values = {
        "encoder": encoder_id,
        "classifier": classifier_id,
        "jobs": [item.posting_id for item in items],
        "categories": [None if category is None else category.pk for category in categories],
        "keys": ["" if c is None else adapter.category_key(c)[:200] for c in categories],
        "names": ["" if c is None else adapter.category_name(c)[:300] for c in categories],
        "probabilities": [item.proposal.probability for item in items],
        "outcomes": [str(item.proposal.outcome) for item in items],
        "digests": [item.digest for item in items],
    }
    return [(sql.UPSERT_SHADOW_DECISIONS, values)]
