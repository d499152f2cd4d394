"""A read timeout for database connections.

PostgreSQL's own timeouts end statements that run too long, and TCP notices a peer that is gone.
Neither notices a server that is frozen behind a proxy which acknowledges every packet: the worker
would wait forever, and look alive to its supervisor.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import psycopg

if TYPE_CHECKING:
    from collections.abc import Generator

#: Seconds without a byte from the server. No statement of a worker is silent for so long: waits for
#: locks end earlier (``lock_timeout``), and a long result arrives bit by bit.
READ_TIMEOUT_SECONDS = 25.0


def set_read_timeout(connection: psycopg.Connection[Any]) -> None:
    """Limit how long this connection waits for the server.

    After ``READ_TIMEOUT_SECONDS`` without a byte the connection is closed, and whatever waits
    raises ``psycopg.OperationalError``.
    """
    wait_without_limit = connection.wait

    def wait(generator: Any, *args: Any, **kwargs: Any) -> Any:
        return wait_without_limit(_with_timeout(connection, generator), *args, **kwargs)

    setattr(connection, "wait", wait)  # noqa: B010 (mypy rejects assigning to a method)


def _with_timeout(
    connection: psycopg.Connection[Any], generator: Generator[Any, Any, Any]
) -> Generator[Any, Any, Any]:
    """The generator with a timeout. psycopg resumes it with a false value when nothing has come."""
    last_read = time.monotonic()
    try:
        wanted = next(generator)
        while True:
            ready = yield wanted
            if ready:
                last_read = time.monotonic()
            elif time.monotonic() - last_read > READ_TIMEOUT_SECONDS:
                connection.pgconn.finish()
                raise psycopg.OperationalError(
                    f"The database has not answered for {READ_TIMEOUT_SECONDS:.0f} s"
                )
            wanted = generator.send(ready)
    except StopIteration as end:
        return end.value
