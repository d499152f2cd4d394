"""Checks of the workers: whether any runs, what each waits for, and whether the one on this
machine makes progress."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import Error as DatabaseError

from marketplace_ai.conf import conf
from marketplace_ai.doctor.finding import Finding
from marketplace_ai.doctor.services import START_DATABASE
from marketplace_ai.queue import heartbeat, liveness_probe

#: Seconds that an iteration of a worker may take on top of its batch: before the batch it may
#: have to encode new exemplars or load another encoder.
STARTUP_SECONDS = 300.0
#: A worker that lost its connection is missed for this many seconds before it counts as gone: it
#: pauses for 10 s at most, and connecting takes as long.
RECONNECT_SECONDS = 60.0


def workers() -> Iterator[Finding]:
    """Whether a worker is running anywhere, and what stops those that do."""
    statuses = [
        status
        for status in heartbeat.worker_statuses()
        if status.has_lock or status.silent < RECONNECT_SECONDS
    ]
    moving = [status.name for status in statuses if _is_moving(status)]
    if moving:
        yield Finding("worker", True, f"{len(moving)} running: {', '.join(moving)}")
    for status in statuses:
        if not _is_moving(status):
            yield _stopped(status)
    if not statuses:
        others = heartbeat.count_other_workers()
        beside = (
            f" ({others} of another project or schema in this database do not count.)"
            if others
            else ""
        )
        yield Finding(
            "worker", False, f"No worker is running.{beside}",
            "Start a Celery worker (celery -A PROJECT worker), or manage.py process_pending. If "
            "one runs already: the project's celery.py must call install(app), and "
            "MARKETPLACE_AI_DRAIN_QUEUES must name one of that worker's queues.",
        )  # fmt: skip


def _is_moving(status: heartbeat.WorkerStatus) -> bool:
    return (
        status.has_lock
        and not status.last_error
        and status.silent <= conf.encode_timeout + STARTUP_SECONDS
    )


def _stopped(status: heartbeat.WorkerStatus) -> Finding:
    """A worker that is there and does not work."""
    if status.last_error:
        message = (
            f"{status.name} has tried again for {status.failing:.0f} s, after: {status.last_error}"
        )
        cure = "Fix that; the worker goes on by itself."
    elif status.has_lock:
        message = f"{status.name} has not moved for {status.silent:.0f} s."
        cure = (
            "Restart it. If it does not run any more, a connection pooler keeps its session: use "
            "session mode, or end that session."
        )
    else:
        message = f"{status.name} lost its session {status.silent:.0f} s ago or was killed."
        cure = "Wait a minute, then see its log."
    return Finding("worker", False, message, cure)


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
