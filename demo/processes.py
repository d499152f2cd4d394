"""The demo's worker and web server: started together, stopped together."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Seconds that a worker may take for the batch in hand when it stops.
STOP_SECONDS = 20.0
PR_SET_PDEATHSIG = 1


@contextmanager
def started(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A child process for the block, in a session of its own (Ctrl-C is for us alone)."""
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 (a fixed command of our own)
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        )
    try:
        yield process
    finally:
        # An impatient second Ctrl-C must not leave anybody behind.
        interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        signal.signal(signal.SIGINT, interrupt)


def worker() -> list[str]:
    """A Celery worker of the demo; its bootstep keeps a queue worker running."""
    return [
        sys.executable, "-m", "celery", "--app", "config", "worker",
        "--loglevel", "INFO", "--concurrency", "1", "--hostname", f"demo-{os.getpid()}@%h",
    ]  # fmt: skip


def web(port: int) -> list[str]:
    """The web server of the demo, on loopback only."""
    return [
        sys.executable, "-m", "django", "runserver", "--noreload", "--skip-checks",
        f"127.0.0.1:{port}",
    ]  # fmt: skip


def free_port(first: int = 8000) -> int:
    """The first port from ``first`` on that nobody listens on."""
    for port in range(first, first + 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"No free port between {first} and {first + 99}.")


def _end_with_parent() -> None:
    """Even a killed demo leaves nobody behind (Linux: a signal at the parent's death)."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
