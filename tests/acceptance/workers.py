"""Real worker processes for tests: started, watched, signalled, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from celery import current_app
from django.db import connection

from demo.services import EmbeddedRedis
from marketplace_ai.queue import wake_up

CHECKOUT = Path(__file__).resolve().parents[2]
#: Inherited by every process that a worker starts, so that none can hide from a test.
MARK = "MARKETPLACE_AI_TEST_MARK"
#: Guards against hanging; nothing here takes that long.
PATIENCE = 120.0
NO_REDIS = "redis://127.0.0.1:1/0"


class Processes:
    """A Python process with all that descend from it, by the mark in their environment."""

    def __init__(self, arguments: list[str], folder: Path, environment: dict[str, str]) -> None:
        folder.mkdir(exist_ok=True)
        self.mark = f"{MARK}={uuid.uuid4()}"
        self.log = folder / "worker.log"
        self.out = folder / "worker.out"
        self.faults = folder / "faults.log"
        name, value = self.mark.split("=")
        with self.log.open("ab") as log, self.out.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=CHECKOUT,
                env={**os.environ, "FAULTS_LOG": str(self.faults), name: value, **environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                start_new_session=True,
            )

    def pids(self, part: str = "") -> list[int]:
        """Those that live (a zombie has no environment), with ``part`` in the command line."""
        self.process.poll()
        found = []
        for pid, line in command_lines().items():
            with suppress(OSError):
                environment = Path(f"/proc/{pid}/environ").read_text(errors="replace")
                if self.mark in environment and part in line:
                    found.append(pid)
        return found

    def queue_worker(self) -> int:
        """The one worker, once it runs."""
        self.wait_for(lambda: len(self.pids("process_pending")) == 1, "there is no worker")
        return self.pids("process_pending")[0]

    def kill(self, number: signal.Signals = signal.SIGKILL, part: str = "") -> None:
        for pid in self.pids(part):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def text(self) -> str:
        """The end of what it said."""
        return (self.out.read_text() + self.log.read_text())[-6000:]

    def wait_for_end(self) -> int:
        """Wait until no process of it lives; the exit code of the first one."""
        self.wait_for(lambda: not self.pids(), "a process is left behind")
        return self.process.wait(PATIENCE)

    def end(self) -> None:
        """Kill whatever is left of it."""
        while self.pids():
            self.kill()
            time.sleep(0.01)
        self.process.wait()

    def batches(self) -> list[tuple[int, str, int]]:
        """What the encoders did: (process, "begin" or "end", texts)."""
        with suppress(FileNotFoundError):
            lines = self.faults.read_text().split("\n")[:-1]
            return [
                (int(pid), what, int(texts))
                for pid, what, texts, _names in (line.split(" ") for line in lines)
            ]
        return []

    def encoded(self) -> Counter[str]:
        """How often each text went into an encoder, by its checksum (see ``name``)."""
        with suppress(FileNotFoundError):
            lines = self.faults.read_text().split("\n")[:-1]
            parts = [line.split(" ") for line in lines]
            return Counter(
                name for _, what, _, names in parts if what == "begin" for name in names.split(",")
            )
        return Counter()

    def in_batch(self, least: int = 8) -> tuple[int, int] | None:
        """(process, texts) of a call of the encoder that is under way now."""
        batches = self.batches()
        if batches and batches[-1][1] == "begin" and batches[-1][2] >= least:
            pid, _, texts = batches[-1]
            return (pid, texts) if pid in self.pids() else None
        return None

    def wait_for_batch(self) -> tuple[int, int]:
        self.wait_for(lambda: self.in_batch() is not None, "no batch begins")
        return self.in_batch() or self.wait_for_batch()

    def wait_for(
        self, condition: Callable[[], bool], what: str, patience: float = PATIENCE
    ) -> None:
        wait_for(condition, lambda: f"{what}\n{self.text()}", patience)


def name(text: str) -> str:
    """As the faults' log names a text that is encoded."""
    return f"{zlib.crc32(text.encode()):08x}"


def command_lines() -> dict[int, str]:
    """Of all processes that live, by their id."""
    lines = {}
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit():
                line = (entry / "cmdline").read_text(errors="replace").replace("\0", " ")
                lines[int(entry.name)] = line
    return lines


def wait_for(
    condition: Callable[[], bool], what: Callable[[], str], patience: float = PATIENCE
) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.01)


@contextmanager
def celery(folder: Path, environment: dict[str, str], *options: str) -> Iterator[Processes]:
    """A Celery worker of the demo project with one process (or thread) of its own."""
    command = ["celery", "--app", "config", "worker", "--concurrency", "1", "--loglevel", "INFO"]
    with running([*command, *options], folder, environment) as processes:
        yield processes


@contextmanager
def queue_worker(folder: Path, environment: dict[str, str]) -> Iterator[Processes]:
    """``process_pending`` by itself."""
    with running(["django", "process_pending"], folder, environment) as processes:
        yield processes


@contextmanager
def running(module: list[str], folder: Path, environment: dict[str, str]) -> Iterator[Processes]:
    """A Python module with its arguments, for the block."""
    processes = Processes(["-m", *module], folder, environment)
    try:
        yield processes
    finally:
        processes.end()


def database() -> str:
    """URL of the database that the test's own connection uses."""
    url = urlsplit(os.environ["DATABASE_URL"])
    return url._replace(path=f"/{connection.settings_dict['NAME']}").geturl()


def environment(database: str, broker: str = NO_REDIS, **more: str | float) -> dict[str, str]:
    """For a worker: short pauses, one thread, and the settings given by their short names."""
    given = {
        name if name.isupper() else f"MARKETPLACE_AI_{name.upper()}": str(value)
        for name, value in more.items()
    }
    return {
        "DJANGO_SETTINGS_MODULE": "tests.worker_settings",
        "DATABASE_URL": database,
        "REDIS_URL": broker,
        "OMP_NUM_THREADS": "1",
        **given,
    }


@contextmanager
def redis(folder: Path) -> Iterator[EmbeddedRedis]:
    """A Redis of the test's own, to be killed; this process sends its wake-ups there."""
    server = EmbeddedRedis(folder / "redis-root", durable=False)
    with publishing_to(server.start()):
        try:
            yield server
        finally:
            server.remove()


@contextmanager
def publishing_to(broker: str, **options: Any) -> Iterator[None]:
    """For the block, another broker than the settings' one (with options of the Celery app),
    no connection to a former one, and no breaker open."""
    options["broker_url"] = broker
    before = {name: current_app.conf[name] for name in options}
    current_app.conf.update(options)
    _forget_connections()
    try:
        yield
    finally:
        current_app.conf.update(before)
        _forget_connections()


def _forget_connections() -> None:
    current_app._after_fork()  # what Celery itself does where connections are no longer its own
    wake_up.reset()
