"""The findings of ``doctor``: everything that can be wrong, and its cure, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from django.db import Error as DatabaseError

from marketplace_ai.db.error_kind import ErrorKind, cure, describe, error_kind
from marketplace_ai.doctor import (
    audit,
    classifier,
    condensing,
    encoders,
    queue,
    refits,
    schema,
    services,
    workers,
)
from marketplace_ai.doctor.finding import Finding

#: What is checked once the database and the settings are in order. A check yields any number
#: of findings.
CHECKS: list[Callable[[], Iterator[Finding]]] = [
    queue.triggers,
    *schema.CHECKS,
    *workers.CHECKS,
    *queue.CHECKS,
    *encoders.CHECKS,
    *classifier.CHECKS,
    *condensing.CHECKS,
    *audit.CHECKS,
    *refits.CHECKS,
]


def examine() -> Iterator[Finding]:
    """Run all checks, services first.

    Yields their findings. Checks that need a database, valid settings and the app's tables are
    left out where these are missing.

    Example::

        problems = [finding for finding in examine() if not finding.ok]
    """
    database = services.database()
    yield database
    yield services.broker()
    settings = list(services.system_checks(with_database=database.ok))
    yield from settings
    # With a broken adapter or model, nothing below could be read.
    if not database.ok or not all(finding.ok for finding in settings):
        return
    if not services.has_tables():
        yield Finding("tables", False, "The app's tables are not there.", "Run manage.py migrate.")
        return
    for check in CHECKS:
        try:
            yield from check()
        except DatabaseError as error:
            remedy = "See PostgreSQL's log, and run manage.py doctor again."
            if error_kind(error) is ErrorKind.SETUP:
                remedy = cure(error)
            yield Finding(check.__name__, False, f"{describe(error).removesuffix('.')}.", remedy)
