"""What both servers share: start or join, stop, kill, and being sure whose process it is."""

import hashlib
import os
import time
from abc import ABC, abstractmethod
from pathlib import Path
from signal import SIGKILL, Signals

from . import endpoint as endpoints
from . import locks, processes
from .endpoint import Endpoint
from .errors import ServiceError

START_SECONDS = 60.0
STOP_SECONDS = 20.0
ORPHAN_SECONDS = 2.0
POLL_SECONDS = 0.02


class Server(ABC):
    """One server of a root folder; any number of objects, in any process, may stand for it.

    The server holds `<root>/<name>.lock` for as long as one of its processes lives. Its port and
    password stay in `<root>/<name>.json`, so it has the same URL after a restart, unless a
    stranger took the port in between; its log is `<root>/<name>.log`.
    """

    name: str
    title: str
    program: str

    def __init__(self, root: Path, *, durable: bool = True) -> None:
        self.root = root.resolve()
        self.durable = durable
        self.log = self.root / f"{self.name}.log"
        self._lock = self.root / f"{self.name}.lock"
        self._saved = self.root / f"{self.name}.json"
        digest = hashlib.sha256(f"{self.name}:{self.root}".encode()).hexdigest()
        self.mark = f"marketplace_ai_{digest[:16]}"

    def start(self) -> str:
        """Start the server, or join it where it runs already; return its URL.

        Remains are cleared away first: processes without a head, a server whose root was
        deleted, stale pid files, an unfinished first start. Raises ServiceError.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        lock = self._take_lock()
        if lock is None:
            return self._url(self._known_endpoint())
        try:
            # The lock is free, so what still bears our mark lost its root and its lock file.
            processes.send(self._processes(), SIGKILL)
            for endpoint in endpoints.candidates(Endpoint.load(self._saved)):
                self._prepare(endpoint, lock)
                endpoint.save(self._saved)
                if self._launch(endpoint, lock):
                    return self._url(endpoint)
                if endpoints.is_free(endpoint.port):
                    break
            raise ServiceError(
                f"{self.title} did not start. The end of {self.log}:\n{self._log_end()}\n"
                f"To begin anew without its data, delete {self.root}."
            )
        finally:
            os.close(lock)

    def url(self) -> str | None:
        """The URL of the server if it runs and takes connections, else None."""
        if locks.is_held(self._lock) and self._is_ready():
            return self._url(self._known_endpoint())
        return None

    def kill(self) -> None:
        """End all its processes with SIGKILL, as the kernel does when memory runs out."""
        # Again and again: another process may be about to start it.
        if not self._wait_until_gone(SIGKILL):
            raise ServiceError(f"{self.title} of {self.root} outlives SIGKILL.")

    def _end(self, number: Signals) -> None:
        """Send a signal to the main process; when it is not obeyed in time, kill."""
        pid = self.pid()
        if pid is not None:
            processes.send([pid], number)
        if pid is None or not self._wait_until_gone():
            self.kill()

    @abstractmethod
    def pid(self) -> int | None:
        """The id of the main process if it lives, else None."""

    @abstractmethod
    def stop(self) -> None:
        """End the server in order."""

    @abstractmethod
    def remove(self) -> None:
        """Stop the server and delete its data."""

    @abstractmethod
    def _url(self, endpoint: Endpoint) -> str: ...

    @abstractmethod
    def _uid(self) -> int | None:
        """The user it runs as; None where that user does not exist (yet)."""

    @abstractmethod
    def _is_ready(self) -> bool: ...

    @abstractmethod
    def _prepare(self, endpoint: Endpoint, lock: int) -> None:
        """Make its folder and its configuration."""

    @abstractmethod
    def _launch(self, endpoint: Endpoint, lock: int) -> bool:
        """Start it with the lock inherited; whether it takes connections."""

    def _processes(self) -> list[int]:
        uid = self._uid()
        return [] if uid is None else processes.marked(self.program, self.mark, uid)

    def _take_lock(self) -> int | None:
        """The held lock, as an open file; None where the server runs."""
        fd = locks.open_file(self._lock)
        began = time.monotonic()
        while not locks.try_exclusive(fd):
            if self._is_ready():
                os.close(fd)
                return None
            waited = time.monotonic() - began
            if waited > START_SECONDS:
                os.close(fd)
                raise ServiceError(
                    f"{self._lock} is held, but {self.title} there does not answer. "
                    f"Does another user or a container run it? See {self.log}."
                )
            # Children whose main process was killed may work on for as long as a query takes.
            if waited > ORPHAN_SECONDS and self.pid() is None:
                processes.send(self._processes(), SIGKILL)
            time.sleep(POLL_SECONDS)
        return fd

    def _wait_until_gone(self, number: Signals | None = None) -> bool:
        deadline = time.monotonic() + STOP_SECONDS
        while (pids := self._processes()) or locks.is_held(self._lock):
            if number is not None:
                processes.send(pids, number)
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def _known_endpoint(self) -> Endpoint:
        endpoint = Endpoint.load(self._saved)
        if endpoint is None:
            raise ServiceError(f"{self._saved} is missing, but {self.title} there runs: stop it.")
        return endpoint

    def _log_end(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(lines[-12:])
