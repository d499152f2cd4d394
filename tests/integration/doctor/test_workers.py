"""What `doctor` says of workers, by their heartbeats and their locks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection

from marketplace_ai.doctor.finding import Finding
from marketplace_ai.doctor.workers import workers
from marketplace_ai.queue.heartbeat import Heartbeat
from marketplace_ai.queue.lease import Liveness
from tests.acceptance.workers import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def liveness() -> Iterator[Liveness]:
    """The lock of a worker that lives."""
    liveness = Liveness()
    yield liveness
    liveness.close()


@pytest.fixture
def heartbeat(liveness: Liveness) -> Iterator[Heartbeat]:
    """The row of that worker, which works."""
    heartbeat = Heartbeat()
    heartbeat.beat(liveness.acquire())
    yield heartbeat
    heartbeat.end()


def age(seconds: int) -> None:
    """The worker has not moved since."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE marketplace_ai_workerheartbeat SET seen_at = seen_at - %s * interval '1 s'",
            [seconds],
        )


def the_finding() -> Finding:
    (finding,) = workers()
    assert finding.name == "worker"
    return finding


def test_a_worker_that_works(heartbeat: Heartbeat) -> None:
    assert the_finding().ok
    assert the_finding().message.startswith("1 running: ")


def test_a_worker_that_waits_is_not_absent(liveness: Liveness, heartbeat: Heartbeat) -> None:
    heartbeat.beat(liveness.acquire(), "disk full")
    assert not the_finding().ok
    assert "has tried again for 0 s, after: disk full" in the_finding().message
    heartbeat.beat(liveness.acquire())
    assert the_finding().ok


def test_a_frozen_worker_or_a_lock_that_a_pooler_kept(heartbeat: Heartbeat) -> None:
    age(3600)
    assert not the_finding().ok
    assert "has not moved for 36" in the_finding().message
    assert "a connection pooler keeps its session" in the_finding().cure


def test_a_worker_that_was_killed(liveness: Liveness, heartbeat: Heartbeat) -> None:
    liveness.close()
    wait_for(lambda: "lost its session" in the_finding().message, lambda: the_finding().message)
    age(120)
    assert the_finding().message == "No worker is running."


def test_a_worker_of_another_project_does_not_count(liveness: Liveness) -> None:
    """It holds a lock in this database, and has no row in our table."""
    liveness.acquire()
    assert not the_finding().ok
    assert the_finding().message == (
        "No worker is running. (1 of another project or schema in this database do not count.)"
    )
    assert "install(app)" in the_finding().cure
