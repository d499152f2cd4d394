"""A client-side read timeout for connections to PostgreSQL.

PostgreSQL's own limits end what a server does for too long, and TCP notices a peer that is gone,
but neither notices one that is frozen behind a proxy which acknowledges every packet. A worker
would wait for it forever, and look alive to its supervisor.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import psycopg

if TYPE_CHECKING:
    from collections.abc import Generator


def set_read_timeout(connection: psycopg.Connection[Any], seconds: float) -> None:
    """Give the connection up once nothing has arrived for ``seconds``.

    Whatever waits for the server then raises ``psycopg.OperationalError``, and the connection is
    closed. Waits for locks must end before (``lock_timeout``); a long answer arrives bit by bit.
    """
    wait_without_limit = connection.wait

    def wait(generator: Any, *args: Any, **kwargs: Any) -> Any:
        return wait_without_limit(_with_timeout(connection, generator, seconds), *args, **kwargs)

    setattr(connection, "wait", wait)  # noqa: B010 (mypy refuses to assign to a method)


def _with_timeout(
    connection: psycopg.Connection[Any], generator: Generator[Any, Any, Any], seconds: float
) -> Generator[Any, Any, Any]:
    """The generator itself; psycopg resumes it with a false value after a wait in vain."""
    last_read = time.monotonic()
    try:
        wanted = next(generator)
        while True:
            ready = yield wanted
            if ready:
                last_read = time.monotonic()
            elif time.monotonic() - last_read > seconds:
                connection.pgconn.finish()
                raise psycopg.OperationalError(f"The database has not answered for {seconds:.0f} s")
            wanted = generator.send(ready)
    except StopIteration as end:
        return end.value
