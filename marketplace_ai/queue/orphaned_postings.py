"""Postings that were decided for a category that is deleted and that nothing will look at again.

The database queues them when the category goes (``schema.category_deletions``). These are what is
left where that trigger was off, or the row was lost.
"""

from __future__ import annotations

from django.db.models import Exists, OuterRef

from marketplace_ai.adapter import get_adapter
from marketplace_ai.db.alias import alias
from marketplace_ai.models import Decision, PostingChange, QueuedPosting

#: Whether the adapter still wants a posting decided is its own code, called for each of so many.
POSTINGS_READ = 1000


def count_forgotten() -> tuple[int, bool]:
    """How many there are, and whether that is all of them; those not eligible do not count."""
    posting = OuterRef("posting_id")
    waiting = QueuedPosting.objects.filter(posting_id=posting, encoder__isnull=True)
    logged = PostingChange.objects.filter(posting_id=posting)
    orphaned = Decision.objects.using(alias()).orphaned().filter(~Exists(waiting), ~Exists(logged))
    keys = list(orphaned.order_by("pk").values_list("posting_id", flat=True)[: POSTINGS_READ + 1])
    adapter = get_adapter()
    postings = adapter.jobs().using(alias()).filter(pk__in=keys[:POSTINGS_READ])
    return sum(adapter.eligible(posting) for posting in postings), len(keys) <= POSTINGS_READ
