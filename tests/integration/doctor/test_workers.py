"""What `doctor` says of workers, by their heartbeats and their locks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from marketplace_ai.doctor.finding import Finding
from marketplace_ai.doctor.workers import workers
from marketplace_ai.models import JobPosting
from marketplace_ai.queue import heartbeat as heartbeats
from marketplace_ai.queue.heartbeat import Heartbeat
from marketplace_ai.queue.lease import Liveness
from marketplace_ai.serving.active_model import ModelLoader
from marketplace_ai.worker.loop import Worker
from tests.acceptance.workers import wait_for
from tests.inline import Inline

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


def execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def age(seconds: int) -> None:
    """The worker has not moved since."""
    execute(
        f"UPDATE marketplace_ai_workerheartbeat SET seen_at = seen_at - {seconds} * interval '1 s'"
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
    heartbeat.beat(liveness.acquire(), "")
    assert the_finding().ok


def test_how_long_a_worker_has_tried_again(exemplars: None) -> None:
    """Since its first error in a row, however often it has tried since."""
    worker, seen = Worker(ModelLoader(), executor=Inline()), []

    def wait(seconds: float, how: Any) -> None:
        seen.extend(heartbeats.worker_statuses())
        if len(seen) == 4:
            execute("DROP FUNCTION refuse CASCADE")
        elif len(seen) == 5:
            worker.stop()
        execute(
            "UPDATE marketplace_ai_workerheartbeat"
            " SET failing_since = failing_since - interval '1 hour'"
        )

    worker._wait = wait  # type: ignore[method-assign]
    JobPosting.objects.create(title="Male bod")
    execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE 'no' USING ERRCODE = '42501'; END $$;"
        "CREATE TRIGGER refuse BEFORE INSERT ON marketplace_ai_queuedposting"
        " FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    worker.run()
    assert [round(status.failing / 3600) for status in seen] == [0, 1, 2, 3, 0]
    assert [bool(status.last_error) for status in seen] == [True, True, True, True, False]


def test_a_heartbeat_that_cannot_be_written_is_logged_once(
    liveness: Liveness, caplog: pytest.LogCaptureFixture
) -> None:
    execute("ALTER TABLE marketplace_ai_workerheartbeat RENAME TO elsewhere")
    try:
        heartbeat = Heartbeat()
        for _ in range(2):
            heartbeat.beat(liveness.acquire())
    finally:
        execute("ALTER TABLE elsewhere RENAME TO marketplace_ai_workerheartbeat")
    (record,) = caplog.records
    assert "doctor cannot see this worker" in record.getMessage()
    assert "Run manage.py migrate" in record.getMessage()


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
