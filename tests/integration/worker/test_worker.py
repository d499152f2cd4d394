"""The worker's processes: start, stop, restart, and outages of Redis and of the parent."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from marketplace_ai.models import Decision, JobPosting, QueuedPosting
from marketplace_ai.serving.active_model import ModelLoader
from marketplace_ai.worker.loop import Worker
from tests.acceptance import ledger, workers
from tests.faults_app import HANGS

pytestmark = pytest.mark.slow


def create(count: int = 40) -> None:
    JobPosting.objects.bulk_create([JobPosting(title=f"Male rom {n}") for n in range(count)])


def to_parent(worker: workers.Processes) -> None:
    worker.process.terminate()


def twice_to_parent(worker: workers.Processes) -> None:
    worker.process.terminate()
    worker.process.terminate()


def to_group(worker: workers.Processes) -> None:
    """As Ctrl-C in a terminal."""
    os.killpg(worker.process.pid, signal.SIGINT)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    # Celery's own exit codes of SIGTERM and SIGINT.
    ("stop", "code"),
    [(to_parent, 0), (twice_to_parent, 0), (to_group, 1)],
)
def test_a_stop_finishes_the_current_batch_and_leaves_no_process(
    stop: Callable[[workers.Processes], None], code: int, tmp_path: Path
) -> None:
    create()
    environment = workers.environment(
        workers.database(),
        os.environ["REDIS_URL"],
        claim_size=20,
        lease_seconds=3600,
        FAULTS_SECONDS=0.06,
    )
    with workers.celery(tmp_path, environment) as worker:
        queue_worker, texts = worker.wait_for_batch()
        stop(worker)
        assert worker.wait_for_end() == code, worker.text()
        assert worker.batches()[-1] == (queue_worker, "end", texts)
    assert Decision.objects.count() == texts
    assert not QueuedPosting.objects.filter(token__isnull=False).exists()


@pytest.mark.django_db(transaction=True)
def test_a_cold_shutdown_does_not_wait_for_the_batch(tmp_path: Path) -> None:
    JobPosting.objects.create(title=HANGS)
    with workers.celery(tmp_path, workers.environment(workers.database())) as worker:
        worker.wait_for(lambda: worker.in_batch(least=1) is not None, "no batch begins")
        worker.process.send_signal(signal.SIGQUIT)
        worker.wait_for_end()


@pytest.mark.django_db(transaction=True)
def test_a_worker_ends_with_its_killed_parent(tmp_path: Path) -> None:
    create()
    environment = workers.environment(workers.database(), claim_size=20, FAULTS_SECONDS=0.06)
    with workers.celery(tmp_path, environment) as worker:
        queue_worker, texts = worker.wait_for_batch()
        worker.process.kill()
        worker.wait_for_end()
        assert worker.batches()[-1] == (queue_worker, "end", texts)
    assert Decision.objects.count() == texts


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("pool", ["prefork", "solo", "threads"])
def test_each_pool_keeps_one_worker_also_where_redis_is_down(pool: str, tmp_path: Path) -> None:
    url = workers.database()
    environment = workers.environment(url, broker=workers.NO_REDIS)
    with workers.celery(tmp_path, environment, "--pool", pool) as worker:
        create()
        worker.wait_for(lambda: Decision.objects.count() == 40, "nothing is decided")
        assert len(worker.pids("process_pending")) == 1
        worker.process.terminate()
        worker.wait_for_end()
    ledger.assert_exactly_once(url, 40)


@pytest.mark.django_db(transaction=True)
def test_every_session_of_a_worker_has_timeouts() -> None:
    connection.ensure_connection()
    queue_worker = Worker(ModelLoader())

    def bound() -> str:
        with connection.cursor() as cursor:
            cursor.execute("SHOW idle_in_transaction_session_timeout")
            return str(cursor.fetchone()[0])

    try:
        queue_worker.run(until_empty=True)
        assert bound() == "15s"
        connection.close()
        assert bound() == "15s"
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_a_stop_is_noticed_while_waiting(settings: Any) -> None:
    settings.MARKETPLACE_AI_POLL_INTERVAL_SECONDS = 60
    queue_worker = Worker(ModelLoader())
    signal.signal(signal.SIGALRM, queue_worker.stop)
    signal.setitimer(signal.ITIMER_REAL, 1)
    started = time.monotonic()
    try:
        queue_worker.run()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
    assert time.monotonic() - started < 30
