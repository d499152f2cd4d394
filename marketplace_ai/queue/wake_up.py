"""Wake-ups: an optional message to workers after a save. It lowers latency; correctness never
depends on it.

Workers poll anyway. So every error here is swallowed, and after one no message is sent for a
while: with Redis down, a save must not wait for it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Any

from celery import current_app
from django.db import transaction
from kombu.transport import virtual

from marketplace_ai.conf import conf
from marketplace_ai.models import get_job_model

from .retry_policy import BROKER_SECONDS

if TYPE_CHECKING:
    from celery import Celery
    from django.db.models import Model
    from kombu.connection import Connection

logger = logging.getLogger(__name__)

TASK = "marketplace_ai.wake_up"
#: Saves of one process within this many seconds share one wake-up.
COALESCE_SECONDS = 0.05
#: No wake-up is added to a queue with so many messages: either nobody consumes it, and it would
#: grow until Redis is full, or workers are behind. Then postings are found by polling.
MAX_WAITING = 20
#: The publisher must never wait: with the broker's defaults a dead Redis costs a save 2-6 s.
#: They take precedence over the project's broker_transport_options.
TRANSPORT = {
    "max_retries": 0,
    "interval_start": 0,
    "interval_step": 0,
    "socket_connect_timeout": 0.25,
    "socket_timeout": 0.25,
}


class Publisher:
    """One process's connection to the broker, kept open: a new one would cost each save 4 ms.

    A thread that finds another one sending sends nothing: workers need one wake-up.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._broker: tuple[Celery, str | None] | None = None
        self._next_allowed = 0.0

    def send(self) -> bool:
        """Whether a message was sent. Never raises, never waits long."""
        if time.monotonic() < self._next_allowed or not self._lock.acquire(blocking=False):
            return False
        try:
            # Tasks that run in the caller's process mean that no worker listens.
            if current_app.conf.task_always_eager or is_default_app():
                return False
            self._next_allowed = time.monotonic() + COALESCE_SECONDS
            return self._publish()
        except Exception as error:  # noqa: BLE001 (whatever a broker's client raises, the save stands)
            self._next_allowed = time.monotonic() + BROKER_SECONDS
            self._drop()
            logger.info(
                "No wake-up was sent (%s); workers find the posting by polling.",
                str(error) or type(error).__name__,
            )
            return False
        finally:
            self._lock.release()

    def _publish(self) -> bool:
        app: Celery = current_app._get_current_object()
        broker = (app, app.conf.broker_write_url)
        if self._connection is not None and self._broker == broker:
            try:
                return _send(app, self._connection)
            except Exception as error:  # noqa: BLE001 (an old connection says nothing of the broker)
                logger.debug("Connecting to the broker again: %s", error)
        self._drop()
        self._connection, self._broker = _connect(app), broker
        return _send(app, self._connection)

    def _drop(self) -> None:
        connection: Any = self._connection
        self._connection = None
        if connection is not None:
            # Not release(): with some transports it waits for a broker that is gone.
            with contextlib.suppress(Exception):
                connection.collect(socket_timeout=TRANSPORT["socket_timeout"])


def is_default_app() -> bool:
    """Whether this process never imported the project's Celery app: Celery's own default app
    stands in, which knows no broker and tries RabbitMQ on this machine."""
    return current_app.main == "default" and not current_app.conf.broker_write_url


def _send(app: Celery, connection: Connection) -> bool:
    if count_waiting(app, connection)[1] >= MAX_WAITING:
        return False
    app.send_task(TASK, connection=connection, retry=False, expires=10, ignore_result=True)
    return True


def count_waiting(app: Celery, connection: Connection) -> tuple[str, int]:
    """The queue that wake-ups go to, and the messages in it. Only of brokers such as Redis:
    RabbitMQ drops expired messages by itself."""
    queue = app.amqp.router.route({}, TASK).get("queue")
    if queue is None or not isinstance(connection.transport, virtual.Transport):
        return "", 0
    channel: Any = connection.default_channel
    try:
        declared = channel.queue_declare(queue=queue.name, passive=True)
    except connection.channel_errors:
        return queue.name, 0  # there is no such queue yet
    return queue.name, int(declared.message_count)


def _connect(app: Celery) -> Any:
    connection: Any = app.connection_for_write(
        transport_options=dict(TRANSPORT), connect_timeout=TRANSPORT["socket_connect_timeout"]
    )
    # One try at each of a broker's hosts.
    connection.transport_options["max_retries"] = max(len(connection.alt) - 1, 0)
    return connection


_publisher = Publisher()
#: Publishers of the processes we were forked from: closing their connections would break theirs.
_inherited: list[Publisher] = []


def reset() -> None:
    """Start with a new connection and a closed circuit breaker, as a forked process does."""
    global _publisher
    _inherited.append(_publisher)
    _publisher = Publisher()


os.register_at_fork(after_in_child=reset)


def after_save(sender: type[Model], using: str, **kwargs: Any) -> None:
    """Receiver of ``post_save`` of every model; acts on the job model and its proxies only."""
    if not conf.wake_up or sender._meta.concrete_model is not get_job_model():
        return
    transaction.on_commit(send, using=using, robust=True)


def send() -> bool:
    """Ask a worker to look now; whether a message was sent. Never raises, never waits long."""
    return _publisher.send()
