"""A transaction that somebody leaves open keeps dead rows alive; the queue works on, and the
culprit is named."""

from __future__ import annotations

import datetime as dt
import statistics
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from marketplace_ai.doctor import diagnose
from marketplace_ai.doctor import queue as doctor_queue
from marketplace_ai.models import QueuedPosting
from marketplace_ai.queue import claim as claims
from tests.acceptance import ledger, workers
from tests.faults.postings import insert, settled
from tests.faults.scale import scaled

pytestmark = pytest.mark.django_db(transaction=True)

#: Seconds that the transaction is open, and postings a second meanwhile.
SECONDS, RATE = scaled((4, 250), (90, 500))

DEAD = """
SELECT sum(n_dead_tup)::bigint FROM pg_stat_user_tables
WHERE relname IN ('marketplace_ai_postingchange', 'marketplace_ai_queuedposting')
"""


def test_the_queue_is_worked_off_under_an_open_transaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, postings = workers.database(), 0
    monkeypatch.setattr(doctor_queue, "LONG_TRANSACTION", dt.timedelta(0))
    looks: list[float] = []
    with (
        workers.queue_worker(tmp_path, workers.environment(url)) as worker,
        psycopg.connect(url, application_name="a forgotten report") as forgotten,
    ):
        worker.wait_for(lambda: bool(worker.pids()), "no worker runs")
        forgotten.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        forgotten.execute("SELECT count(*) FROM marketplace_ai_queuedposting")
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            second = time.monotonic() + 1
            postings += insert(url, postings, RATE)
            looks.append(look())
            time.sleep(max(second - time.monotonic(), 0))
        worker.wait_for(lambda: settled(url), "the queue does not drain")
        looks += [look() for _ in range(5)]
        found = [f for f in diagnose.examine() if f.name == "vacuum"]
        assert [str(forgotten.info.backend_pid) in f.message for f in found] == [True]
        assert "a forgotten report" in found[0].message
        forgotten.rollback()
    ledger.assert_exactly_once(url, postings)
    with psycopg.connect(url, autocommit=True) as own:
        dead: Any = own.execute(DEAD).fetchone()
        own.execute("VACUUM marketplace_ai_postingchange, marketplace_ai_queuedposting")
    after = [look() for _ in range(5)]
    print(
        f"{postings} postings under a transaction open for {SECONDS} s, {dead[0]} dead rows; a "
        f"look for work: first {looks[0] * 1000:.1f} ms, longest {max(looks) * 1000:.1f} ms, "
        f"after VACUUM {statistics.median(after) * 1000:.1f} ms"
    )


def look() -> float:
    """Seconds that a claim takes that finds nothing or little, over all dead rows."""
    began = time.monotonic()
    claimed = claims.claim(0)
    taken = time.monotonic() - began
    if claimed is not None:
        # As if it had never been: nobody's worker number means that it would count as lost.
        QueuedPosting.objects.filter(token=claimed.token).update(
            token=None, worker=None, lease_expires_at=None
        )
    return taken
