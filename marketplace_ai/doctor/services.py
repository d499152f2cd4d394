"""Checks of PostgreSQL, the Celery broker and the settings."""

from __future__ import annotations

from collections.abc import Iterator

from django.core import checks
from django.db import Error as DatabaseError
from django.db import connections

from marketplace_ai.checks import check_database
from marketplace_ai.db.alias import alias
from marketplace_ai.db.error_kind import describe
from marketplace_ai.doctor.finding import Finding
from marketplace_ai.models import QueuedPosting
from marketplace_ai.queue import wake_up

#: What to do if the database does not answer.
START_DATABASE = "Start PostgreSQL, or correct DATABASES."


def database() -> Finding:
    """Whether PostgreSQL answers and has pgvector, with the versions of both."""
    connection = connections[alias()]
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT current_setting('server_version'), "
                "(SELECT extversion FROM pg_extension WHERE extname = 'vector'), "
                "current_setting('transaction_read_only')::boolean"
            )
            version, pgvector_version, is_read_only = cursor.fetchone()
    except DatabaseError as error:
        return Finding("database", False, describe(error), START_DATABASE)
    if is_read_only:
        return Finding(
            "database", False, f"PostgreSQL {version} takes no writes: it is a standby, or set to "
            "read-only.",
            "Point DATABASES at the primary, or end default_transaction_read_only. Workers go on "
            "by themselves then.",
        )  # fmt: skip
    return Finding(
        "database", pgvector_version is not None,
        f"PostgreSQL {version}, pgvector {pgvector_version or 'not installed'}",
        "" if pgvector_version else "Run manage.py migrate.",
    )  # fmt: skip


def broker() -> Finding:
    """Whether the Celery broker accepts a connection within a second."""
    from celery import current_app

    if wake_up.is_default_app():
        return Finding(
            "broker", False, "This process has not imported the project's Celery app.",
            "Import it in the project's __init__.py (from .celery import app as celery_app). Until "
            "then its saves wake no worker, and postings are found by polling.",
        )  # fmt: skip
    try:
        with current_app.connection_for_write(
            transport_options=dict(wake_up.TRANSPORT)
        ) as connection:
            connection.ensure_connection(max_retries=0, timeout=1)
            queue, waiting = wake_up.count_waiting(current_app, connection)
            if waiting >= wake_up.MAX_WAITING and not _is_consumed(queue):
                # No failure: a host may have process_pending alone, which needs no messages.
                return Finding(
                    "broker", True,
                    f"{waiting} messages wait in the queue {queue!r}, and no Celery worker that "
                    "consumes it answers. Postings are found by polling; interactive tasks wait.",
                    f"Start one (celery -A PROJECT worker -Q {queue}), or route marketplace_ai.* "
                    "to a queue that one consumes. With process_pending alone, set "
                    "MARKETPLACE_AI_WAKE_UP to False.",
                )  # fmt: skip
    except Exception as error:  # noqa: BLE001 (transports raise errors of many types)
        return Finding(
            "broker", False, f"The broker cannot be reached: {error}",
            "Start Redis. Until then postings are found by polling, and interactive tasks wait.",
        )  # fmt: skip
    return Finding("broker", True, f"{current_app.conf.broker_url.split('@')[-1]} answers")


def _is_consumed(queue: str) -> bool:
    """Whether a Celery worker answers within a second that it consumes this queue."""
    from celery import current_app

    replies = current_app.control.inspect(timeout=1).active_queues() or {}
    return any(consumed["name"] == queue for queues in replies.values() for consumed in queues)


def system_checks(*, with_database: bool) -> Iterator[Finding]:
    """The messages of Django's system checks for this app, under their ids."""
    messages = checks.run_checks(tags=["marketplace_ai"])
    if with_database:
        messages += check_database(databases=[alias()])
    for message in messages:
        yield Finding(
            str(message.id), message.level < checks.ERROR, str(message.msg), str(message.hint or "")
        )


def has_tables() -> bool:
    """Whether the app's migrations were run at all."""
    tables = connections[alias()].introspection.table_names()
    return QueuedPosting._meta.db_table in tables
