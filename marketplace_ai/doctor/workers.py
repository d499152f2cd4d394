"""Checks of the workers: whether any runs, and whether the one on this machine makes progress."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import Error as DatabaseError

from marketplace_ai.conf import conf
from marketplace_ai.doctor.finding import Finding
from marketplace_ai.doctor.services import START_DATABASE
from marketplace_ai.queue import liveness_probe, stats

#: Seconds that an iteration of a worker may take on top of its batch: before the batch it may
#: have to encode new exemplars or load another encoder.
STARTUP_SECONDS = 300.0


def workers() -> Iterator[Finding]:
    """Whether a worker is running anywhere."""
    names = stats.worker_names()
    if names:
        yield Finding("worker", True, f"{len(names)} running: {', '.join(names)}")
    else:
        yield Finding(
            "worker", False, "No worker is running.",
            "Start a Celery worker (celery -A PROJECT worker), or manage.py process_pending.",
        )  # fmt: skip


def local_worker() -> Finding:
    """Whether the worker on this machine makes progress.

    One query, for the health check of a worker's container.
    """
    try:
        iteration = liveness_probe.current_iteration()
    except DatabaseError as error:
        return Finding("worker", False, " ".join(str(error).split()), START_DATABASE)
    if iteration is None:
        message, cure = "No worker is running on this machine.", "See the worker's log."
    elif iteration.is_first:
        message = f"It has been starting for {iteration.seconds:.0f} s."
        cure = "Wait until it has loaded its encoder and encoded new exemplars; see its log."
    elif iteration.seconds > conf.encode_timeout + STARTUP_SECONDS:
        message, cure = f"It hangs for {iteration.seconds:.0f} s.", "Restart the worker."
    else:
        return Finding("worker", True, f"Its loop iteration began {iteration.seconds:.0f} s ago.")
    return Finding("worker", False, message, cure)


CHECKS = [workers]
