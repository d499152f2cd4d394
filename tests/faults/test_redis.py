"""Redis may be dead, empty, full or full of rubbish: postings are decided, saves do not notice."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis as client
from celery import current_app

from demo.services import EmbeddedRedis
from marketplace_ai.models import JobPosting
from marketplace_ai.queue import notify, wake_up
from tests.acceptance import ledger, workers
from tests.faults.postings import create, settled, titles
from tests.faults.scale import scaled

pytestmark = pytest.mark.django_db(transaction=True)

#: What twenty saves would take at least if one waited for a dead broker as Celery does by
#: default, in seconds.
AT_ONCE = 2.0


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    with workers.redis(tmp_path) as server:
        yield server


@pytest.fixture
def broken_off_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every save tries Redis again, so that each meets the fault."""
    monkeypatch.setattr(wake_up, "BROKER_SECONDS", 0.0)
    monkeypatch.setattr(wake_up, "COALESCE_SECONDS", 0.0)


def database(redis: EmbeddedRedis) -> Any:
    return client.from_url(redis.url() or "", decode_responses=True)


def save(first: int, count: int) -> list[float]:
    """Postings one by one, as a form's view does; the seconds that each took."""
    seconds = []
    for title in titles(first, count):
        began = time.monotonic()
        JobPosting.objects.create(title=title)
        seconds.append(time.monotonic() - began)
    return seconds


@contextmanager
def wake_ups(url: str) -> Iterator[Callable[[], bool]]:
    """Whether a wake-up comes through from a save to the workers, tried anew at each call."""
    with psycopg.connect(url, autocommit=True) as ear:
        ear.execute(f"LISTEN {notify.CHANNEL}")

        def arrive() -> bool:
            wake_up.send()
            return any(True for _ in ear.notifies(timeout=0.3, stop_after=1))

        yield arrive


def test_redis_is_dead_for_a_while(redis: EmbeddedRedis, tmp_path: Path) -> None:
    url = workers.database()
    environment = workers.environment(url, redis.url() or "")
    with workers.celery(tmp_path, environment) as worker, wake_ups(url) as arrive:
        worker.wait_for(arrive, "no wake-up arrives while all is well")
        alive = save(0, 20)
        # An idle worker, which nothing but its own poll will wake.
        worker.wait_for(lambda: settled(url), "nothing is decided")
        redis.kill()
        dead: list[float] = []
        until = time.monotonic() + scaled(1, 15)
        while time.monotonic() < until or len(dead) < 20:
            dead += save(20 + len(dead), 20)
            time.sleep(0.2)
        assert sum(sorted(dead)[-20:]) < AT_ONCE, max(dead)
        worker.wait_for(lambda: settled(url), "nothing is decided while Redis is dead")
        redis.start()
        wake_up.reset()
        worker.wait_for(arrive, "wake-ups no longer arrive")
        ledger.assert_exactly_once(url, len(alive) + len(dead))
    print(
        f"a save, median / longest: Redis alive {statistics.median(alive) * 1000:.1f} / "
        f"{max(alive) * 1000:.1f} ms, dead {statistics.median(dead) * 1000:.1f} / "
        f"{max(dead) * 1000:.1f} ms"
    )


def emptied(redis: Any) -> None:
    redis.flushall()


def without_bindings(redis: Any) -> None:
    for key in redis.keys("_kombu.binding.*"):
        redis.delete(key)


def full(redis: Any) -> None:
    redis.config_set("maxmemory", 1)


def resetting(redis: Any) -> None:
    for _ in range(5):
        for kind in ("normal", "pubsub"):
            redis.client_kill_filter(_type=kind, skipme=True)
        time.sleep(0.5)


@pytest.mark.usefixtures("broken_off_at_once")
def test_redis_loses_its_keys_its_memory_and_its_connections(
    rng: random.Random, redis: EmbeddedRedis, tmp_path: Path
) -> None:
    url, postings = workers.database(), 0
    environment = workers.environment(url, redis.url() or "")
    own = database(redis)
    with ExitStack() as stack, wake_ups(url) as arrive:
        started: list[workers.Processes] = []

        def kept(condition: Callable[[], bool]) -> Callable[[], bool]:
            """As a supervisor does: start a worker that has ended again. Celery ends itself when
            a full Redis does not let it acknowledge what it did."""

            def look() -> bool:
                if not started or started[-1].process.poll() is not None:
                    folder = tmp_path / str(len(started))
                    started.append(stack.enter_context(workers.celery(folder, environment)))
                return condition()

            return look

        workers.wait_for(kept(arrive), lambda: "no wake-up arrives while all is well")
        insults = [emptied, without_bindings, full, resetting] * scaled(1, 5)
        rng.shuffle(insults)
        for insult in insults:
            insult(own)
            postings += len(save(postings, 10))
            name = insult.__name__
            with ExitStack() as meanwhile:
                if insult is full:
                    # Celery's worker may end as often as it is started, and its worker with it.
                    meanwhile.enter_context(workers.queue_worker(tmp_path / "worker", environment))
                decided = kept(lambda: settled(url))
                workers.wait_for(decided, partial("nothing is decided: {}".format, name))
            own.config_set("maxmemory", 0)
            workers.wait_for(kept(arrive), partial("wake-ups no longer arrive: {}".format, name))
    ledger.assert_exactly_once(url, postings)


def test_wake_ups_are_few_however_many_saves(redis: EmbeddedRedis) -> None:
    began = time.monotonic()
    save(0, 200)
    windows = (time.monotonic() - began) / wake_up.COALESCE_SECONDS + 1
    assert 0 < database(redis).llen("celery") <= windows


def test_thousands_of_wake_ups_of_every_kind(
    rng: random.Random, redis: EmbeddedRedis, tmp_path: Path
) -> None:
    """Repeated, late, in any order and forged: each posting is encoded once."""
    url, own = workers.database(), database(redis)
    forged = unknown = 0
    postings = create(0, each=5)
    for _ in range(scaled(300, 10_000)):
        kind = rng.randrange(5)
        if kind == 0:
            forged += 1
            current_app.send_task(
                wake_up.TASK, [rng.choice([10**30, -1, "' OR 1=1", None, {"job": []}])]
            )
        elif kind == 1:
            unknown += 1
            current_app.send_task("marketplace_ai.no_such_task", [rng.randrange(10**9)])
        else:
            # Some that are too late.
            current_app.send_task(wake_up.TASK, expires=rng.choice([None, None, 0.001]))
    environment = workers.environment(url, redis.url() or "")
    with workers.celery(tmp_path, environment) as worker, wake_ups(url) as arrive:
        postings += create(postings, each=5)
        worker.wait_for(
            lambda: own.llen("celery") == 0 and settled(url), "the messages are not worked off"
        )
        worker.wait_for(arrive, "wake-ups no longer arrive")

        def refused() -> tuple[int, int]:
            log = worker.log.read_text()
            return log.count("TypeError: wake_up() "), log.count("Received unregistered task of")

        # The last of them were taken off the list a moment ago. None is tried again.
        worker.wait_for(lambda: refused() == (forged, unknown), "not each is refused once")
        encoded = worker.encoded()
    assert set(encoded.values()) == {1}
    assert len(encoded) == postings
    ledger.assert_exactly_once(url, postings)
