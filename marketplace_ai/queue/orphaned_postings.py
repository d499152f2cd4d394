"""Postings that a deleted category left without one, and that nothing would look at again.

The database queues those that were decided for it (``schema.category_deletions``); some are left
where that trigger was off. Of those whose category a person had set, it knows nothing: their
decision is about what the machine proposed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Exists, OuterRef, Q

from marketplace_ai.adapter import get_adapter
from marketplace_ai.db.alias import alias
from marketplace_ai.models import Decision, Outcome, PostingChange, QueuedPosting

if TYPE_CHECKING:
    from marketplace_ai.adapter import JobAdapter

#: Whether the adapter still wants a posting decided is its own code, called for each of so many.
POSTINGS_READ = 1000


def is_orphaned(adapter: JobAdapter) -> Q:
    """The condition on postings: decided for a deleted category, or said to keep a person's
    category while they have none."""
    current = Decision.objects.current().filter(posting_id=OuterRef("pk"))
    kept = Exists(current.filter(outcome=Outcome.HUMAN_OVERRIDE))
    return Q(Exists(current.orphaned())) | Q(kept, **{f"{adapter.category_field}__isnull": True})


def count_forgotten() -> tuple[int, bool]:
    """How many were decided for a deleted category and wait nowhere, and whether that is all of
    them; those not eligible do not count."""
    posting = OuterRef("posting_id")
    waiting = QueuedPosting.objects.filter(posting_id=posting, encoder__isnull=True)
    logged = PostingChange.objects.filter(posting_id=posting)
    orphaned = Decision.objects.using(alias()).orphaned().filter(~Exists(waiting), ~Exists(logged))
    # By the column of the partial index: by their own key the whole table would be read.
    rows = orphaned.order_by("posting_id").values_list("posting_id", flat=True)
    keys = list(rows[: POSTINGS_READ + 1])
    adapter = get_adapter()
    postings = adapter.jobs().using(alias()).filter(pk__in=keys[:POSTINGS_READ])
    return sum(adapter.eligible(posting) for posting in postings), len(keys) <= POSTINGS_READ
