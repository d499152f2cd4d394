"""The bootstep by which a Celery worker keeps a queue worker running.

The queue worker is a child process, because the encoder's libraries must not run in a parent that
forks, and because it must keep running when the broker is gone.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from typing import Any

from celery import Celery, bootsteps

from marketplace_ai.conf import conf
from marketplace_ai.queue import retry_policy

from . import EXIT_HUNG

logger = logging.getLogger(__name__)

#: How long the batch in flight may take when the Celery worker stops, in seconds; in a cold
#: shutdown only as long as it takes to release claims.
STOP_SECONDS, COLD_STOP_SECONDS = 30.0, 2.0
#: The end of the process, and a stop, are noticed within this many seconds.
WATCH_SECONDS = 0.2


class QueueWorkerStep(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
    """Starts ``process_pending`` after the pool, restarts it when it ends, and stops it with the
    Celery worker."""

    requires = {"celery.worker.components:Pool"}

    def include_if(self, worker: Any) -> bool:
        """Whether this Celery worker is one that drains: it consumes one of the queues that
        MARKETPLACE_AI_DRAIN_QUEUES names."""
        if conf.drain_queues is None:
            return True
        return not set(conf.drain_queues).isdisjoint(worker.app.amqp.queues.consume_from)

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        super().__init__(worker, **kwargs)
        self._stopping = threading.Event()
        self._stop_seconds = STOP_SECONDS
        # Only waits and spawns: numeric work in a thread of the forking parent can hang it.
        self._thread = threading.Thread(target=self._supervise, name="queue-worker", daemon=True)

    def start(self, worker: Any) -> None:
        self._thread.start()

    def close(self, worker: Any) -> None:
        """Called before the pool is stopped: its tasks and our batch end in parallel."""
        self._stopping.set()

    def stop(self, worker: Any) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def terminate(self, worker: Any) -> None:
        self._stop_seconds = COLD_STOP_SECONDS
        self.stop(worker)

    def _supervise(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            started_at = time.monotonic()
            code = self._run()
            if self._stopping.is_set():
                return
            if time.monotonic() - started_at > retry_policy.STEADY_SECONDS:
                failures = 0
            failures += 1
            if code is not None and (code < 0 or code == EXIT_HUNG):
                failures = min(failures, retry_policy.MAX_COUNTED_CRASHES)
            logger.warning("The queue worker ended with code %s; starting it again", code)
            self._stopping.wait(retry_policy.WORKER_RESTART.seconds(failures))

    def _run(self) -> int | None:
        """Run one worker process from start to end; its exit code, or None if none could start."""
        command = [sys.executable, "-m", "django", "process_pending"]
        command += ["--parent", str(os.getpid())]
        try:
            # In a new session: Ctrl-C is for the Celery worker, which then stops this one.
            process = subprocess.Popen(command, start_new_session=True)  # noqa: S603
        except OSError:
            logger.exception("The queue worker could not be started")
            return None
        while process.poll() is None and not self._stopping.wait(WATCH_SECONDS):
            pass
        if process.poll() is None:
            self._end(process)
        return process.returncode

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        process.terminate()
        asked_at = time.monotonic()
        while process.poll() is None:
            if time.monotonic() - asked_at > self._stop_seconds:
                logger.warning("The queue worker's batch takes too long; it is killed")
                process.kill()
                process.wait()
            time.sleep(WATCH_SECONDS / 4)


def install(app: Celery) -> None:
    """Make Celery workers of ``app`` keep a queue worker running: all of them, or those that
    consume a queue of ``MARKETPLACE_AI_DRAIN_QUEUES``.

    Call it once, in the project's celery.py. The queue worker is a child process
    (``manage.py process_pending``) that is restarted when it ends, and stopped with the Celery
    worker.

    ``app``: the project's Celery application. Returns nothing and raises nothing.

    >>> from celery import Celery
    >>> app = Celery("myproject")
    >>> install(app)
    """
    app.steps["worker"].add(QueueWorkerStep)
