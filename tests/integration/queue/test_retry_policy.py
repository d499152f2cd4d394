"""The retry policy's formula in SQL gives the same waits as in Python."""

from __future__ import annotations

import pytest
from django.db import connection

from marketplace_ai.queue import retry_policy
from marketplace_ai.queue.retry_policy import Backoff

pytestmark = pytest.mark.django_db

POLICIES = [retry_policy.POSTING, retry_policy.DATABASE, retry_policy.WORKER_RESTART]


@pytest.mark.parametrize("policy", POLICIES)
def test_sql_and_python_agree(policy: Backoff) -> None:
    failures = [*range(1, 41), 32767]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {policy.sql('failures')} FROM unnest(%s::int[]) AS failures", [failures]
        )
        waits = [row[0] for row in cursor.fetchall()]
    assert waits == pytest.approx([policy.seconds(number) for number in failures])
