"""The part of a Celery worker that keeps a drainer running beside its pool.

A child process of its own, because the encoder's libraries must not run in a parent that
forks, and because it must go on when the broker is gone.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from typing import Any

from celery import Celery, bootsteps

logger = logging.getLogger(__name__)

#: Pause before a drainer that ended is started again, in seconds, doubled up to the last.
FIRST_PAUSE, LAST_PAUSE = 0.5, 30.0
#: A drainer that ran this long, in seconds, had started well.
STEADY_SECONDS = 60.0
#: How long a batch in hand may take when the worker stops, in seconds.
STOP_SECONDS = 30.0


class DrainerStep(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
    """Starts ``process_pending`` after the pool, respawns it, and stops it with the worker."""

    requires = {"celery.worker.components:Pool"}

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        super().__init__(worker, **kwargs)
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None

    def start(self, worker: Any) -> None:
        self._thread = threading.Thread(target=self._supervise, name="drainer", daemon=True)
        self._thread.start()

    def stop(self, worker: Any) -> None:
        self._stopping.set()
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)

    terminate = stop

    def _supervise(self) -> None:
        # Only waits and spawns: numeric work in a thread of the forking parent can hang it.
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            command = [sys.executable, "-m", "django", "process_pending"]
            command += ["--parent", str(os.getpid())]
            self._process = subprocess.Popen(command, start_new_session=True)  # noqa: S603
            if self._stopping.is_set():
                self._process.terminate()
            try:
                code = self._process.wait(STEADY_SECONDS)
            except subprocess.TimeoutExpired:
                pause = FIRST_PAUSE
                code = self._process.wait()
            if self._stopping.is_set():
                return
            logger.warning("The drainer ended with code %s; starting it again", code)
            self._stopping.wait(pause)
            pause = min(pause * 2, LAST_PAUSE)


def install(app: Celery) -> None:
    """Make every worker of ``app`` keep a drainer; call it in the project's celery.py."""
    app.steps["worker"].add(DrainerStep)
