"""Postponed rows: a mistake in the set-up stops them, not their posting.

Each is tried again every half minute for as long as that lasts, so nobody may wait for its end.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from django.db.models import Max
from django.db.models.functions import Now

from marketplace_ai.db.alias import alias
from marketplace_ai.models import QueuedPosting

from .retry_policy import SETUP_SECONDS

if TYPE_CHECKING:
    from django.db.models import QuerySet


def tried_within(seconds: float) -> QuerySet[QueuedPosting]:
    """Postponed rows that nobody is working on and that were last tried in the last ``seconds``."""
    return QueuedPosting.objects.using(alias()).filter(
        is_isolated=True,
        attempts=0,
        last_error__gt="",
        failed_at__isnull=True,
        token__isnull=True,
        scheduled_at__gte=Now() + dt.timedelta(seconds=SETUP_SECONDS - seconds),
    )


def complaint(rows: QuerySet[QueuedPosting]) -> str:
    """A sentence that counts these postponed rows and says what stops them; "" for none."""
    count = rows.count()
    if not count:
        return ""
    error = rows.aggregate(error=Max("last_error"))["error"]
    waiting = "1 posting waits" if count == 1 else f"{count} postings wait"
    return f"{waiting}, uncounted, after: {error} Fix that; workers try again every half minute."
