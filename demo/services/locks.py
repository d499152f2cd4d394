"""File locks (flock), which end with the last process that holds the file open, however it dies.

A server inherits the open lock file of its starter. So "is the lock held?" answers "does a
process of this server live?" even after a SIGKILL, for a zombie, or where a pid was given away
again: the cases in which a pid file lies.

Not the library filelock: its FileLock cannot be shared, its ReadWriteLock is a transaction of
SQLite, and a server could inherit neither.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import ServiceError


def open_file(path: Path) -> int:
    """Open (and create) a lock file, which the caller closes. Raises ServiceError."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except PermissionError as error:
        raise ServiceError(
            f"{path} cannot be opened: {path.parent} belongs to another user. "
            f"Work as that user, or delete {path.parent}."
        ) from error


def try_exclusive(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def share(fd: int) -> None:
    fcntl.flock(fd, fcntl.LOCK_SH)


def is_held(path: Path) -> bool:
    """Whether somebody holds the lock exclusively. Creates nothing."""
    if not path.exists():
        return False
    fd = open_file(path)
    try:
        # Shared, so that two who ask at once do not take each other for the holder.
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


@contextmanager
def exclusive(fd: int) -> Iterator[None]:
    """Wait for the lock on an open file, hold it for the block."""
    fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(fd, fcntl.LOCK_UN)
