"""Celery tasks."""

from __future__ import annotations

from celery import shared_task

from .queue import notify
from .queue.wake_up import TASK


@shared_task(name=TASK, ignore_result=True)  # type: ignore[untyped-decorator]
def wake_up() -> None:
    """Make idle workers look for work now."""
    notify.announce()
