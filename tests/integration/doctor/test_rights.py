"""``doctor`` run by a role that may not read our tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.db import connection, transaction

from marketplace_ai.doctor import diagnose
from marketplace_ai.doctor.finding import Finding

Check = Callable[[], Iterator[Finding]]


def each_alone(check: Check) -> Check:
    """As outside a transaction, where an error of one check does not fail the next."""

    def alone() -> Iterator[Finding]:
        with transaction.atomic():
            return iter(list(check()))

    alone.__name__ = check.__name__
    return alone


@pytest.mark.django_db
def test_a_missing_right_is_not_cured_by_migrate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnose, "CHECKS", [each_alone(check) for check in diagnose.CHECKS])
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE of_nobody; GRANT USAGE ON SCHEMA public TO of_nobody")
        cursor.execute("SET ROLE of_nobody")
    denied = [finding for finding in diagnose.examine() if "permission denied" in finding.message]
    assert len(denied) > 5
    assert {finding.cure for finding in denied} == {
        "Grant the workers' database role this right, as docs/install.md says."
    }
