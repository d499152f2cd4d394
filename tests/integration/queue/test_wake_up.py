"""Wake-ups: a worker starts at once; without one, or without Redis, it finds work by polling."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis as client
from celery import Celery, current_app
from django.db import connection, transaction

from demo.services import EmbeddedRedis
from marketplace_ai.doctor import services
from marketplace_ai.models import Category, Decision, JobPosting
from marketplace_ai.queue import wake_up
from tests.acceptance import workers
from tests.acceptance.workers import NO_REDIS, publishing_to

pytestmark = pytest.mark.django_db(transaction=True)

#: Seconds. With the defaults of Celery, a save that waits for the broker takes longer.
LONGEST_SAVE = 2.0
LISTENERS = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE '%% listener %%'"


@pytest.fixture
def redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedRedis]:
    monkeypatch.setattr(wake_up, "COALESCE_SECONDS", 0.0)
    with workers.redis(tmp_path) as server:
        yield server


def database(redis: EmbeddedRedis) -> Any:
    return client.from_url(redis.url() or "", decode_responses=True)


def waiting(redis: EmbeddedRedis, queue: str = "celery") -> int:
    """Messages that no worker has received yet."""
    return int(database(redis).llen(queue))


def test_saves_of_one_transaction_send_one_message_after_it(
    redis: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wake_up, "COALESCE_SECONDS", 3600.0)
    with transaction.atomic():
        for n in range(3):
            JobPosting.objects.create(title=f"Male rom {n}")
        assert waiting(redis) == 0
    assert waiting(redis) == 1


def test_a_rolled_back_save_sends_none(redis: EmbeddedRedis) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        JobPosting.objects.create(title="Male stue")
        raise ZeroDivisionError
    assert waiting(redis) == 0


def test_other_models_send_none(redis: EmbeddedRedis) -> None:
    Category.objects.create(slug="maling", name="Maling")
    assert waiting(redis) == 0


def test_a_project_can_switch_them_off(redis: EmbeddedRedis, settings: Any) -> None:
    settings.MARKETPLACE_AI_WAKE_UP = False
    JobPosting.objects.create(title="Male stue")
    assert waiting(redis) == 0


def test_none_is_sent_if_tasks_run_in_the_callers_process(
    redis: EmbeddedRedis,
) -> None:
    with publishing_to(redis.url() or "", task_always_eager=True):
        JobPosting.objects.create(title="Male stue")
    assert waiting(redis) == 0


def test_a_dead_redis_does_not_delay_saves(caplog: pytest.LogCaptureFixture) -> None:
    with publishing_to(NO_REDIS), caplog.at_level("INFO", "marketplace_ai.queue.wake_up"):
        started = time.monotonic()
        for n in range(20):
            JobPosting.objects.create(title=f"Male rom {n}")
        assert time.monotonic() - started < LONGEST_SAVE
    assert JobPosting.objects.count() == 20
    assert len(caplog.records) == 1, "the breaker did not keep later saves from trying"


def test_a_frozen_redis_delays_one_save_shortly(redis: EmbeddedRedis) -> None:
    assert wake_up.send()
    pid = redis.pid()
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        for n in range(20):
            JobPosting.objects.create(title=f"Male rom {n}")
        assert time.monotonic() - started < LONGEST_SAVE
    finally:
        os.kill(pid, signal.SIGCONT)


def test_wake_ups_resume_when_redis_is_back(
    redis: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wake_up, "BROKER_SECONDS", 0.0)
    assert wake_up.send()
    redis.kill()
    assert not wake_up.send()
    redis.start()
    assert wake_up.send()
    assert waiting(redis) == 1


def test_a_connection_that_the_broker_closed_is_reopened(redis: EmbeddedRedis) -> None:
    assert wake_up.send()
    redis.kill()
    redis.start()
    assert wake_up.send()


def test_the_connection_stays_open(redis: EmbeddedRedis) -> None:
    assert wake_up.send()
    observer = database(redis)
    before = observer.info()["total_connections_received"]
    for _ in range(10):
        assert wake_up.send()
    assert observer.info()["total_connections_received"] == before


def test_the_next_of_several_hosts_is_tried(redis: EmbeddedRedis) -> None:
    with publishing_to(f"{NO_REDIS};{redis.url()}"):
        assert wake_up.send()
    assert waiting(redis) == 1


def test_the_transport_options_of_the_project_still_apply(redis: EmbeddedRedis) -> None:
    options = {"global_keyprefix": "shop:"}
    with publishing_to(redis.url() or "", broker_transport_options=options):
        assert wake_up.send()
    assert waiting(redis, "shop:celery") == 1


@pytest.mark.parametrize(
    ("broker", "sent"), [("memory://", True), ("amqp://127.0.0.1:1//", False), ("none://", False)]
)
def test_other_brokers_raise_nothing(broker: str, sent: bool) -> None:
    with publishing_to(broker):
        JobPosting.objects.create(title="Male stue")
        wake_up.reset()
        assert wake_up.send() is sent


def test_a_forked_process_opens_a_new_connection(redis: EmbeddedRedis) -> None:
    assert wake_up.send()
    child = os.fork()
    if child == 0:
        fresh = wake_up._publisher._connection is None
        os._exit(0 if fresh and wake_up.send() else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert wake_up.send()
    assert waiting(redis) == 3


def test_threads_may_send_at_once(redis: EmbeddedRedis) -> None:
    results: list[bool] = []

    def work() -> None:
        results.extend(wake_up.send() for _ in range(50))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 400
    assert waiting(redis) == sum(results) > 0


def test_wake_ups_reach_an_idle_worker_also_after_forged_ones_and_an_outage(
    redis: EmbeddedRedis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wake_up, "BROKER_SECONDS", 0.0)
    environment = workers.environment(
        workers.database(), redis.url() or "", poll_interval_seconds=3600
    )
    with workers.celery(tmp_path, environment) as worker:
        worker.wait_for(idle, "no worker listens")
        JobPosting.objects.create(title="Male stue")
        worker.wait_for(lambda: Decision.objects.count() == 1, "the wake-up did not arrive")

        for arguments in ([1, "x"], [10**30], [None] * 100):
            current_app.send_task(wake_up.TASK, arguments, {"job": "' OR 1=1"})
        current_app.send_task("marketplace_ai.no_such_task")
        JobPosting.objects.create(title="Male gang")
        worker.wait_for(lambda: Decision.objects.count() == 2, "the worker is no longer woken")
        worker.wait_for(lambda: waiting(redis) == 0, "messages are left in the queue")
        assert worker.log.read_text().count("TypeError: wake_up() ") == 3
        assert "Received unregistered task of type 'marketplace_ai.no_such_task'" in (
            worker.log.read_text()
        )

        redis.kill()
        JobPosting.objects.create(title="Male tak")
        redis.start()
        # The worker reconnects to Redis only after a while.
        worker.wait_for(
            lambda: wake_up.send() and Decision.objects.count() == 3, "wake-ups no longer arrive"
        )


def idle() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(LISTENERS)
        return bool(cursor.fetchone()[0])


def test_a_queue_that_nobody_consumes_does_not_grow(redis: EmbeddedRedis) -> None:
    sent = [wake_up.send() for _ in range(3 * wake_up.MAX_WAITING)]
    assert waiting(redis) == sum(sent) == wake_up.MAX_WAITING
    database(redis).delete("celery")
    assert wake_up.send(), "a queue that is consumed again gets wake-ups again"


def test_messages_that_nobody_consumes_are_named(redis: EmbeddedRedis) -> None:
    assert not services.broker().cure
    for _ in range(wake_up.MAX_WAITING):
        wake_up.send()
    finding = services.broker()
    assert finding.ok, "process_pending alone needs none"
    assert "20 messages wait in the queue 'celery', and no Celery worker" in finding.message
    assert "-Q celery" in finding.cure


def test_the_queue_that_the_project_routes_them_to_is_counted(redis: EmbeddedRedis) -> None:
    routes = {wake_up.TASK: {"queue": "small"}}
    with publishing_to(redis.url() or "", task_routes=routes):
        current_app.amqp.flush_routes()
        try:
            for _ in range(2 * wake_up.MAX_WAITING):
                wake_up.send()
            assert waiting(redis, "small") == wake_up.MAX_WAITING
        finally:
            current_app.conf.task_routes = None
            current_app.amqp.flush_routes()


def test_a_process_without_the_projects_celery_app_is_told_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where the project's __init__.py does not import it: Celery's default app stands in."""
    monkeypatch.setattr(wake_up, "current_app", Celery("default", set_as_current=False))
    assert not wake_up.send()
    found = services.broker()
    assert not found.ok
    assert "__init__.py" in found.cure
    assert "Redis" not in found.cure


@pytest.mark.parametrize(("queue", "drains"), [("mail", False), ("celery,mail", True)])
def test_only_celery_workers_of_the_named_queues_drain(
    queue: str, drains: bool, redis: EmbeddedRedis, tmp_path: Path
) -> None:
    environment = workers.environment(
        workers.database(), redis.url() or "", drain_queues='["celery"]'
    )
    with workers.celery(tmp_path, environment, "--pool", "solo", "-Q", queue) as worker:
        worker.wait_for(lambda: "ready." in worker.text(), "it does not start")
        if drains:
            worker.queue_worker()
        else:
            assert not worker.pids("process_pending")
