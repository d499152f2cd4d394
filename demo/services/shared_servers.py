"""The servers of one root, shared by every process that uses them.

The rule: the last one out stops them. Who uses them holds a shared lock on `<root>/users.lock`;
who leaves and can turn that lock into an exclusive one was the last, and whoever comes meanwhile
waits. A process that is killed lets go of its lock as well, so it never keeps servers alive; it
leaves them running, and the next one in joins them and, leaving last, stops them. `start` keeps
them running until `stop`.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import locks
from .postgres import EmbeddedPostgres
from .redis import EmbeddedRedis


@dataclass(frozen=True)
class ServiceUrls:
    """What DATABASE_URL and REDIS_URL take; "" for a server that was not asked for."""

    database_url: str
    redis_url: str


@contextmanager
def running(
    root: Path, *, postgres: bool = True, redis: bool = True, durable: bool = True
) -> Iterator[ServiceUrls]:
    """Servers for the block: those of `root`, started where they do not run.

    durable: False (for tests) makes PostgreSQL fast rather than safe, and deletes the data when
    the last user leaves. Raises ServiceError when a server cannot be had.
    """
    root = root.resolve()
    user = _enter(root)
    try:
        locks.share(user)
        yield _start(root, postgres=postgres, redis=redis, durable=durable)
    finally:
        if locks.try_exclusive(user) and not _kept(root).exists():
            for server in _servers(root):
                server.stop() if durable else server.remove()
        os.close(user)


def start(root: Path) -> ServiceUrls:
    """Start both servers and leave them running, also after this process, until `stop`."""
    root = root.resolve()
    user = _enter(root)
    try:
        locks.share(user)
        urls = _start(root, postgres=True, redis=True, durable=True)
        _kept(root).touch()
        return urls
    finally:
        os.close(user)


def find_running(root: Path) -> ServiceUrls | None:
    """The URLs of the servers of `root` that run now, or None where none does. Starts nothing."""
    database, redis = (server.url() or "" for server in _servers(root))
    return ServiceUrls(database, redis) if database or redis else None


def stop(root: Path) -> None:
    """Stop the servers of `root`, whoever started or uses them; nothing where none runs."""
    _stop(root, remove=False)


def remove(root: Path) -> None:
    """Stop the servers of `root` and delete their data, those outside the root too."""
    _stop(root, remove=True)


def _stop(root: Path, *, remove: bool) -> None:
    root = root.resolve()
    _kept(root).unlink(missing_ok=True)
    for server in _servers(root):
        server.remove() if remove else server.stop()


def _start(root: Path, *, postgres: bool, redis: bool, durable: bool) -> ServiceUrls:
    return ServiceUrls(
        EmbeddedPostgres(root, durable=durable).start() if postgres else "",
        EmbeddedRedis(root, durable=durable).start() if redis else "",
    )


def _servers(root: Path) -> tuple[EmbeddedPostgres, EmbeddedRedis]:
    return EmbeddedPostgres(root), EmbeddedRedis(root)


def _kept(root: Path) -> Path:
    return root / "kept"


def _enter(root: Path) -> int:
    """The open file for the lock of users, in a root that is made where it is missing."""
    root.mkdir(parents=True, exist_ok=True)
    return locks.open_file(root / "users.lock")
