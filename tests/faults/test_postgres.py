"""PostgreSQL may be killed, cut off or slow: workers wait for it, and come back by themselves."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from demo.services import EmbeddedPostgres
from marketplace_ai.models import QueuedPosting
from tests.acceptance import ledger, workers
from tests.faults import proxy
from tests.faults.postings import create, insert, settled
from tests.faults.scale import scaled

LIVING = "SELECT objid FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND granted"
#: Sessions of a worker: those that it names, and the one that has its environment's name.
SESSIONS = """FROM pg_stat_activity WHERE datname = current_database()
AND (application_name = 'the worker' OR application_name LIKE 'marketplace_ai %')"""


def test_postgres_is_killed_and_restarted_under_load(
    rng: random.Random, server: EmbeddedPostgres, tmp_path: Path
) -> None:
    url, postings, back = server.url() or "", 0, []
    environment = workers.environment(url, batch_size=20, lease_seconds=3600, FAULTS_SECONDS=0.02)
    ends = [server.kill, lambda: server.stop("immediate")] * scaled(1, 3)
    rng.shuffle(ends)
    with workers.drainer(tmp_path, environment) as worker:
        for end in ends:
            postings += insert(url, postings, 60)
            before, _ = worker.wait_for_batch()
            time.sleep(rng.uniform(0, 0.5))
            end()
            assert server.start() == url
            began, further = time.monotonic(), partial(more_than, decisions(url), url)
            postings += insert(url, postings, 20)
            worker.wait_for(further, "the drainer does not go on")
            back.append(time.monotonic() - began)
        worker.wait_for(lambda: settled(url), "the queue does not drain")
        assert worker.pids() == [before], "it was started anew"
        with psycopg.connect(url) as own:
            assert len(own.execute(LIVING).fetchall()) == 1
    ledger.assert_exactly_once(url, postings)
    print("first decision after connections are taken:", [f"{s:.1f} s" for s in back])


def decisions(url: str) -> int:
    with psycopg.connect(url) as own:
        row: Any = own.execute("SELECT count(*) FROM marketplace_ai_decision").fetchone()
    return int(row[0])


def counted() -> bool:
    """Whether any posting has an attempt to its name."""
    return QueuedPosting.objects.filter(attempts__gt=0).exists()


def more_than(count: int, url: str) -> bool:
    return decisions(url) > count


@contextmanager
def statement_timeout(url: str, milliseconds: int) -> Iterator[None]:
    """For the block, of all sessions that begin in the database."""
    with psycopg.connect(url, autocommit=True) as own:
        row: Any = own.execute("SELECT current_database()").fetchone()
        alter = SQL("ALTER DATABASE {} ").format(Identifier(row[0]))
        own.execute(alter + SQL("SET statement_timeout = {}").format(milliseconds))
        try:
            yield
        finally:
            own.execute(alter + SQL("RESET statement_timeout"))


@pytest.mark.django_db(transaction=True)
def test_terminated_sessions_and_timeouts_are_nobodys_fault(
    rng: random.Random, tmp_path: Path
) -> None:
    url, postings = workers.database(), 0
    environment = workers.environment(
        url, batch_size=20, FAULTS_SECONDS=0.02, PGAPPNAME="the worker"
    )
    with (
        statement_timeout(url, 300),
        workers.drainer(tmp_path, environment) as worker,
        psycopg.connect(url, autocommit=True) as own,
    ):
        own.execute("SET statement_timeout = 0")

        def sessions() -> int:
            row: Any = own.execute(f"SELECT count(*) {SESSIONS}").fetchone()
            return int(row[0])

        def terminated() -> None:
            own.execute(f"SELECT pg_terminate_backend(pid) {SESSIONS}")

        def held_up() -> None:
            """A lock that no statement waits for to its end."""
            with own.transaction():
                own.execute("LOCK TABLE marketplace_ai_decision IN SHARE MODE")
                time.sleep(0.8)

        worker.wait_for(lambda: sessions() > 0, "no drainer comes")
        faults: list[Callable[[], None]] = [terminated, held_up] * scaled(2, 15)
        rng.shuffle(faults)
        for fault in faults:
            postings += create(postings, each=10)
            worker.wait_for_batch()
            time.sleep(rng.uniform(0, 0.3))
            fault()
            # The batch of that moment was given back, or is written by then.
            worker.wait_for(lambda: settled(url) or counted(), "the drainer does not go on")
            assert not counted(), "a posting was blamed"
        # One that works, one that shows that it lives, one that listens; a renewing one at most.
        worker.wait_for(lambda: sessions() <= 4, "sessions are left behind")
        assert len(worker.pids()) == 1
        assert "terminating connection" in worker.text()
    ledger.assert_exactly_once(url, postings)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("busy", scaled([True], [True, False]), ids=lambda busy: f"busy={busy}")
def test_a_connection_that_goes_silent_is_left(busy: bool, tmp_path: Path) -> None:
    """The worker notices within 30 s (5 s in the short form), though both ends of its connections
    stay open; what it held is free by then, and it goes on in the same process."""
    url = workers.database()
    patience: dict[str, float] = scaled({"FAULTS_SILENCE": 5}, {})
    with proxy.through(url) as line:
        environment = workers.environment(
            line.url, batch_size=20, lease_seconds=5, FAULTS_SECONDS=0.05, **patience
        )
        with workers.drainer(tmp_path, environment) as worker:
            postings = create(0, each=1)
            worker.wait_for(lambda: settled(url), "nothing is decided")
            if busy:
                postings += create(postings, each=10)
                worker.wait_for_batch()
            line.silence()
            postings += create(postings, each=1)
            worker.wait_for(lambda: settled(url), "the silence is not noticed")
            assert len(worker.pids()) == 1
            assert "has not answered" in worker.log.read_text()
    ledger.assert_exactly_once(url, postings)


@pytest.mark.django_db(transaction=True)
def test_a_redis_that_goes_silent_is_not_missed(tmp_path: Path) -> None:
    url = workers.database()
    with (
        workers.redis(tmp_path) as redis,
        proxy.through(redis.url() or "") as line,
        workers.publishing_to(line.url),
        workers.celery(tmp_path, workers.environment(url, line.url)) as worker,
    ):
        postings = create(0, each=5)
        worker.wait_for(lambda: settled(url), "nothing is decided")
        line.silence()
        began = time.monotonic()
        postings += create(postings, each=20)
        assert time.monotonic() - began < 5, "a save waits for Redis"
        worker.wait_for(lambda: settled(url), "nothing is decided without Redis")
        assert worker.process.poll() is None
    ledger.assert_exactly_once(url, postings)
