"""Wake-ups: a kindness to latency that costs a save nothing and is never needed.

A worker polls anyway. So every error here is swallowed, and after one the broker is left
alone for a while: with Redis dead, a save must not wait for it.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from celery import current_app
from django.db import transaction
from kombu.exceptions import KombuError

from marketplace_ai.conf import conf
from marketplace_ai.models import get_job_model

if TYPE_CHECKING:
    from django.db.models import Model

logger = logging.getLogger(__name__)

TASK = "marketplace_ai.wake_up"
#: Saves of one process within this many seconds share one wake-up.
COALESCE_SECONDS = 0.05
#: The broker is left alone this long after it failed.
BREAKER_SECONDS = 30.0
#: The publisher must never wait: with the broker's defaults a dead Redis costs a save 2-6 s.
TRANSPORT = {
    "max_retries": 0,
    "interval_start": 0,
    "interval_step": 0,
    "socket_connect_timeout": 0.25,
    "socket_timeout": 0.25,
}

_lock = threading.Lock()
_next_allowed = 0.0


def after_save(sender: type[Model], using: str, **kwargs: Any) -> None:
    """Receiver of ``post_save`` of every model; acts on the job model's only."""
    if not conf.wake_up or sender._meta.label_lower != conf.job_model.lower():
        return
    if sender is get_job_model():
        transaction.on_commit(send, using=using, robust=True)


def send() -> bool:
    """Ask a worker to look now; whether a message was sent. Never raises, never waits long."""
    global _next_allowed
    with _lock:
        now = time.monotonic()
        if now < _next_allowed:
            return False
        _next_allowed = now + COALESCE_SECONDS
    try:
        with current_app.connection_for_write(transport_options=dict(TRANSPORT)) as connection:
            current_app.send_task(
                TASK, connection=connection, retry=False, expires=10, ignore_result=True
            )
    except (OSError, KombuError, current_app.connection_for_write().connection_errors) as error:
        _next_allowed = time.monotonic() + BREAKER_SECONDS
        logger.info(
            "No wake-up was sent (%s); workers find the posting by polling.",
            str(error) or type(error).__name__,
        )
        return False
    return True
