"""Where a server listens and what opens it: kept in its root, readable by its user only."""

import json
import os
import secrets
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

HOST = "127.0.0.1"
# Below the range from which systems draw ports for outgoing connections (32768, or 49152, and
# up): a client that knocks again and again at a server that is down could else be given the
# server's own port and keep it occupied.
PORTS = range(20_000, 32_000)


@dataclass(frozen=True)
class Endpoint:
    port: int
    password: str

    @classmethod
    def load(cls, path: Path) -> "Endpoint | None":
        """What `save` wrote, or None where there is no (whole) file."""
        try:
            saved = json.loads(path.read_text())
            return cls(port=int(saved["port"]), password=str(saved["password"]))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def save(self, path: Path) -> None:
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(asdict(self), file)
        fresh.replace(path)


def candidates(saved: Endpoint | None, attempts: int = 5) -> Iterator[Endpoint]:
    """Endpoints to try: the saved one first, so that a restart keeps its URL.

    Not where somebody listens already: after a root was copied, that server has our password too.
    """
    password = saved.password if saved else secrets.token_hex(24)
    if saved and is_free(saved.port):
        yield saved
    for _ in range(attempts):
        yield Endpoint(_free_port(), password)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: connections that linger after a restart do not occupy the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    # Drawn, not counted up: two checkouts that start at once must not try the same ones.
    while not is_free(port := secrets.choice(PORTS)):
        pass
    return port
