"""The stored acquisition order of the review queue."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone

from marketplace_ai.db.alias import alias
from marketplace_ai.models import Decision, ReviewRank


def store(decisions: Sequence[int]) -> int:
    """Replace the stored order by these decisions, the first of them first; how many were stored.

    Those that no longer wait are left out. The review queue shows either all of the older order or
    all of this one.
    """
    now = timezone.now()
    rows = ReviewRank.objects.using(alias())
    with transaction.atomic(using=alias()):
        rows.all().delete()
        waiting = set(
            Decision.objects.using(alias())
            .in_review()
            .filter(pk__in=decisions)
            .values_list("pk", flat=True)
        )
        kept = [key for key in decisions if key in waiting]
        rows.bulk_create(
            [
                ReviewRank(decision_id=key, rank=rank, ranked_at=now)
                for rank, key in enumerate(kept, start=1)
            ]
        )
    return len(kept)
