"""Threads that advance one step at a time, in an order that a seed chooses.

Each actor is a thread with a database connection of its own. It stops at every point it names
(a worker at the points of its batch) until it is told to go on; one that waits for a lock of
another stays where it is while that one is led on, as in PostgreSQL's own isolation tests.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import psycopg
from django.db import connections

from marketplace_ai.models import QueuedPosting
from marketplace_ai.serving.active_model import ModelLoader
from marketplace_ai.worker.loop import Worker
from tests.acceptance import workers
from tests.faults_app import points
from tests.inline import Late

WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
"""
DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"

_here = threading.local()


def reached(point: str) -> None:
    """For ``points.install``: an actor that comes to a point of its batch pauses there."""
    actor = getattr(_here, "actor", None)
    if actor is not None:
        actor.pause(point)


class Actor:
    """One session and what it does; ``program`` calls ``pause`` between its steps."""

    def __init__(self, name: str, program: Callable[[Actor], None]) -> None:
        self.name = name
        self.point: str | None = None
        self.error: BaseException | None = None
        self._program = program
        self._go, self._resting = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()
        assert self._resting.wait(workers.PATIENCE)

    def pause(self, point: str) -> None:
        """Wait here until told to go on."""
        self.point = point
        self._resting.set()
        assert self._go.wait(workers.PATIENCE)
        self._go.clear()

    def go_on(self) -> None:
        self._resting.clear()
        self._go.set()

    def rests(self, seconds: float = 0.0) -> bool:
        """Whether it is at a point, or at its end."""
        return self._resting.wait(seconds)

    @property
    def ended(self) -> bool:
        return self.point is None

    def _run(self) -> None:
        _here.actor = self
        try:
            self.pause("start")
            self._program(self)
        except BaseException as error:  # noqa: BLE001 (told to the test, which fails)
            self.error = error
        finally:
            _here.actor = None
            connections.close_all()
            self.point = None
            self._resting.set()


def queue_worker(models: ModelLoader | None = None, turns: int = 2) -> Callable[[Actor], None]:
    """A worker as an actor; each turn looks for lost claims again, as workers do every second."""
    resident = models or ModelLoader()

    def work(actor: Actor) -> None:
        for _ in range(turns):
            worker = Worker(resident, executor=Late())
            try:
                worker.run_once()
            finally:
                worker.close()
            actor.pause("between two turns")

    return work


def play(url: str, actors: Iterable[Actor], choose: Callable[[list[Actor]], Actor]) -> list[str]:
    """Lead the actors on, one step of a chosen one at a time, to the end of all; the steps."""
    actors = list(actors)
    steps: list[str] = []
    with psycopg.connect(url, autocommit=True) as observer:
        for actor in actors:
            actor.start()
        while True:
            ready = [actor for actor in actors if actor.rests() and not actor.ended]
            under_way = [actor for actor in actors if not actor.rests()]
            if ready:
                actor = choose(ready)
                steps.append(f"{actor.name} from {actor.point}")
                actor.go_on()
                under_way.append(actor)
            elif not under_way:
                break
            _settle(observer, under_way)
    errors = [actor.error for actor in actors if actor.error is not None]
    assert not errors, (errors, steps)
    return steps


def _settle(observer: psycopg.Connection[Any], under_way: list[Actor]) -> None:
    """Until each rests or waits for another's lock."""
    deadline = time.monotonic() + workers.PATIENCE
    while True:
        moving = [actor for actor in under_way if not actor.rests(0.002)]
        if not moving:
            return
        row = observer.execute(WAITING).fetchone()
        if row is not None and row[0] >= len(moving):
            return
        assert time.monotonic() < deadline, [actor.name for actor in moving]


def at_random(rng: random.Random) -> Callable[[list[Actor]], Actor]:
    return rng.choice


def later(rng: random.Random, name: str, longest: int) -> Callable[[list[Actor]], Actor]:
    """Any, but the named one not before some steps of the others, ``longest`` at most: one with few
    steps would else be through before those with many have done anything."""
    left = rng.randrange(longest + 1)

    def choose(ready: list[Actor]) -> Actor:
        nonlocal left
        others = [actor for actor in ready if actor.name != name]
        if left and others:
            left -= 1
            return rng.choice(others)
        return rng.choice(ready)

    return choose


def in_order(*names: str) -> Callable[[list[Actor]], Actor]:
    """The named ones first, a step each (where one cannot go on, the next); then any."""
    left = list(names)

    def choose(ready: list[Actor]) -> Actor:
        while left:
            name = left.pop(0)
            for actor in ready:
                if actor.name == name:
                    return actor
        return ready[0]

    return choose


def drain(models: ModelLoader) -> None:
    """Work off what is left; whatever waits for its time finds that it has come."""
    for _ in range(50):
        QueuedPosting.objects.filter(token=None).update(scheduled_at="2026-01-01T00:00Z")
        worker = Worker(models, executor=Late())
        try:
            found = worker.run_once()
        finally:
            worker.close()
        if not found and not QueuedPosting.objects.remaining().exists():
            return
    raise AssertionError("the queue does not drain")


def deadlocks(url: str) -> int:
    with psycopg.connect(url) as own:
        own.execute("SELECT pg_stat_clear_snapshot()")
        row: Any = own.execute(DEADLOCKS).fetchone()
    return int(row[0])


__all__ = [
    "Actor",
    "at_random",
    "deadlocks",
    "drain",
    "in_order",
    "play",
    "points",
    "queue_worker",
    "reached",
]  # fmt: skip
