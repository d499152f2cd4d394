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
import time
from typing import Any

from celery import Celery, bootsteps

from . import EXIT_HUNG

logger = logging.getLogger(__name__)

#: Pause before a drainer that ended is started again, in seconds, doubled up to the last.
FIRST_PAUSE, LAST_PAUSE = 0.5, 30.0
#: The last pause after one that was killed, crashed or hung, in seconds: a posting may be the
#: cause, which is set aside only after several of these; starting takes seconds anyway.
LAST_PAUSE_AFTER_CRASH = 2.0
#: A drainer that ran this long, in seconds, had started well.
STEADY_SECONDS = 60.0
#: How long a batch in hand may take when the worker stops, in seconds; when it is told to
#: stop at once (a cold shutdown) only as long as it takes to let go of what is held.
STOP_SECONDS, COLD_STOP_SECONDS = 30.0, 2.0
#: A drainer's end and a stop are noticed within this many seconds.
WATCH_SECONDS = 0.2


class DrainerStep(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
    """Starts ``process_pending`` after the pool, respawns it, and stops it with the worker."""

    requires = {"celery.worker.components:Pool"}

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        super().__init__(worker, **kwargs)
        self._stopping = threading.Event()
        self._patience = STOP_SECONDS
        # Only waits and spawns: numeric work in a thread of the forking parent can hang it.
        self._thread = threading.Thread(target=self._supervise, name="drainer", daemon=True)

    def start(self, worker: Any) -> None:
        self._thread.start()

    def close(self, worker: Any) -> None:
        """Called before the pool is stopped: its tasks and our batch end side by side."""
        self._stopping.set()

    def stop(self, worker: Any) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def terminate(self, worker: Any) -> None:
        self._patience = COLD_STOP_SECONDS
        self.stop(worker)

    def _supervise(self) -> None:
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            began = time.monotonic()
            code = self._run()
            if self._stopping.is_set():
                return
            if time.monotonic() - began > STEADY_SECONDS:
                pause = FIRST_PAUSE
            if code is not None and (code < 0 or code == EXIT_HUNG):
                pause = min(pause, LAST_PAUSE_AFTER_CRASH)
            logger.warning("The drainer ended with code %s; starting it again", code)
            self._stopping.wait(pause)
            pause = min(pause * 2, LAST_PAUSE)

    def _run(self) -> int | None:
        """One drainer from start to end; its exit code, or None where none could be started."""
        command = [sys.executable, "-m", "django", "process_pending"]
        command += ["--parent", str(os.getpid())]
        try:
            # In a session of its own: Ctrl-C is for the worker, which then stops it in order.
            process = subprocess.Popen(command, start_new_session=True)  # noqa: S603
        except OSError:
            logger.exception("No drainer could be started")
            return None
        while process.poll() is None and not self._stopping.wait(WATCH_SECONDS):
            pass
        if process.poll() is None:
            self._end(process)
        return process.returncode

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        process.terminate()
        asked = time.monotonic()
        while process.poll() is None:
            if time.monotonic() - asked > self._patience:
                logger.warning("The drainer's batch takes too long; it is killed")
                process.kill()
                process.wait()
            time.sleep(WATCH_SECONDS / 4)


def install(app: Celery) -> None:
    """Make every worker of ``app`` keep a drainer; call it in the project's celery.py."""
    app.steps["worker"].add(DrainerStep)
