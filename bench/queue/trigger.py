"""What the trigger costs a host that writes postings."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

from django.db import connection

from marketplace_ai.models import JobPosting

from ..rows import say
from .postings import DESCRIPTION, empty
from .world import scaled

TRIGGER = "ALTER TABLE marketplace_ai_jobposting {state} TRIGGER marketplace_ai_created"
INSERT = """
INSERT INTO marketplace_ai_jobposting (title, description)
SELECT 'Male rom ' || n, %s FROM generate_series(1, %s) AS n
"""


def by_sql() -> float:
    """One INSERT of many rows, with and without the trigger by turns, each into empty tables."""
    count = scaled(1_000_000)

    def insert() -> None:
        with connection.cursor() as cursor:
            cursor.execute(INSERT, [DESCRIPTION, count])

    return _ratio(insert, turns=3)


def by_bulk_create() -> float:
    rows = [JobPosting(title=f"Male rom {n}", description=DESCRIPTION) for n in range(10_000)]

    def create() -> None:
        for row in rows:
            row.pk = None
        JobPosting.objects.bulk_create(rows)

    return _ratio(create, turns=7)


def _ratio(write: Callable[[], None], turns: int) -> float:
    """Median seconds with the trigger by those without."""
    seconds: dict[str, list[float]] = {"ENABLE": [], "DISABLE": []}
    for turn in range(turns + 1):
        for state, taken in seconds.items():
            empty()
            with connection.cursor() as cursor:
                cursor.execute(TRIGGER.format(state=state))
                cursor.execute("CHECKPOINT")
            start = time.perf_counter()
            write()
            if turn:  # the first turn only warms up
                taken.append(time.perf_counter() - start)
    with_it, without = (median(taken) for taken in seconds.values())
    say(f"with the trigger {with_it:.2f} s, without {without:.2f} s")
    return with_it / without
