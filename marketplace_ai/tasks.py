"""Celery tasks."""

from __future__ import annotations

import logging
import subprocess
import sys

from celery import shared_task

from .queue import notify
from .queue.wake_up import TASK

logger = logging.getLogger(__name__)

#: The name by which a project's ``beat_schedule`` calls it.
REFIT_TASK = "marketplace_ai.refit"
#: Characters logged of what a command printed last.
LAST = 2_000


@shared_task(name=TASK, ignore_result=True)  # type: ignore[untyped-decorator]
def wake_up() -> None:
    """Make idle workers look for work now."""
    notify.announce()


@shared_task(name=REFIT_TASK, ignore_result=True)  # type: ignore[untyped-decorator]
def refit(calibration: str | None = None) -> None:
    """Run ``manage.py refit --if-due``, with a file of labeled postings where one is given.

    In a process of its own: the memory of the encoder's libraries goes with it, and a fit that is
    killed takes no other task along.
    """
    command = [sys.executable, "-m", "django", "refit", "--if-due"]
    if calibration is not None:
        command += ["--calibration", calibration]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        logger.warning(
            "refit --if-due ended with code %s: %s", done.returncode, done.stderr[-LAST:]
        )
    else:
        logger.info("refit --if-due: %s", done.stdout[-LAST:])
