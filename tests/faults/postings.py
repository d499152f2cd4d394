"""Postings as hosts write them: by the ORM, in bulk, by COPY and by plain SQL."""

from __future__ import annotations

import psycopg
from django.db import connection

from marketplace_ai.models import JobPosting
from tests.acceptance import ledger

TITLES = ["Male stue nummer {}", "Klippe gress hos nr {}", "Bytte kran i {}. etasje", "Hei {}"]


def titles(first: int, count: int) -> list[str]:
    """Texts of which no two are equal."""
    return [TITLES[n % len(TITLES)].format(n) for n in range(first, first + count)]


def create(first: int, each: int = 40) -> int:
    """Postings in each of the ways a host may write them; how many."""
    texts = titles(first, 4 * each)
    for title in texts[:each]:
        JobPosting.objects.create(title=title)
    JobPosting.objects.bulk_create([JobPosting(title=t) for t in texts[each : 2 * each]])
    with connection.cursor() as cursor:
        with cursor.copy("COPY marketplace_ai_jobposting (title) FROM STDIN") as copy:
            for title in texts[2 * each : 3 * each]:
                copy.write_row([title])
        cursor.execute(
            "INSERT INTO marketplace_ai_jobposting (title) SELECT unnest(%s::text[])",
            [texts[3 * each :]],
        )
    return len(texts)


def insert(url: str, first: int, count: int) -> int:
    """By plain SQL, on a connection of its own; how many."""
    with psycopg.connect(url) as own:
        own.execute(
            "INSERT INTO marketplace_ai_jobposting (title) SELECT unnest(%s::text[])",
            [titles(first, count)],
        )
    return count


def waiting(url: str) -> int:
    """How many are not done: logged, which no worker has taken in yet, or queued."""
    queue = ledger.queue(url)
    return queue.logged + queue.queued


def settled(url: str) -> bool:
    """Whether nothing is left to do."""
    return ledger.queue(url).settled
