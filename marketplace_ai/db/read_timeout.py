"""A database that says nothing more is left, whoever may be holding the line.

PostgreSQL's own time limits end what a server does too long, and TCP notices a peer that is gone,
but not one that is frozen behind a proxy which acknowledges every packet. Then a worker
would wait for ever, and look alive to its supervisor.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import psycopg

if TYPE_CHECKING:
    from collections.abc import Generator

#: No statement of a worker is silent for this long, in seconds: waits for locks end before
#: (``lock_timeout``), and a long answer arrives bit by bit.
SILENCE_SECONDS = 25.0


def bound_silence(connection: psycopg.Connection[Any]) -> None:
    """From now on whatever waits for the server raises ``psycopg.OperationalError``, and the
    connection is closed, once nothing was heard for ``SILENCE_SECONDS``."""
    plain = connection.wait

    def wait(generator: Any, *args: Any, **kwargs: Any) -> Any:
        return plain(_listening(connection, generator), *args, **kwargs)

    setattr(connection, "wait", wait)  # noqa: B010 (a method is no place to assign to)


def _listening(
    connection: psycopg.Connection[Any], generator: Generator[Any, Any, Any]
) -> Generator[Any, Any, Any]:
    """The generator itself; psycopg resumes it with a false value when it has waited in vain."""
    heard = time.monotonic()
    try:
        wanted = next(generator)
        while True:
            ready = yield wanted
            if ready:
                heard = time.monotonic()
            elif time.monotonic() - heard > SILENCE_SECONDS:
                connection.pgconn.finish()
                raise psycopg.OperationalError(
                    f"The database has not answered for {SILENCE_SECONDS:.0f} s"
                )
            wanted = generator.send(ready)
    except StopIteration as end:
        return end.value
