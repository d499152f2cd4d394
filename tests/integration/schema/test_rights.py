"""What is lost in silence for the lack of a right: triggers that may not write, hidden rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from marketplace_ai.models import JobPosting, PostingChange
from marketplace_ai.queue import trigger
from marketplace_ai.schema import foreign_keys
from marketplace_ai.schema.differences import Difference, differences

pytestmark = pytest.mark.django_db

LOG = "marketplace_ai_postingchange"
CATEGORIES = "marketplace_ai_category"


def run(sql: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall() if cursor.description else None


@pytest.fixture
def role() -> Iterator[str]:
    """A role with all rights on our tables, of this transaction alone."""
    run("CREATE ROLE of_workers; GRANT ALL ON ALL TABLES IN SCHEMA public TO of_workers")
    run("GRANT ALL ON SCHEMA public TO of_workers")
    yield "of_workers"
    run("RESET ROLE")


def as_role(role: str) -> list[Difference]:
    run(f"SET ROLE {role}")
    try:
        return differences()
    finally:
        run("RESET ROLE")


def test_a_function_whose_owner_may_not_write_to_the_log(role: str) -> None:
    """As after ALTER TABLE ... OWNER TO for each table, by somebody who forgot the functions."""
    run(f"ALTER FUNCTION marketplace_ai_created() OWNER TO {role}")
    assert differences() == []
    run(f"REVOKE INSERT ON {LOG} FROM {role}")
    JobPosting.objects.create(title="Male bod")
    assert not PostingChange.objects.exists()
    [difference] = differences()
    assert difference.message.startswith(
        f"The function marketplace_ai_created runs as {role}, who may not write to {LOG}"
    )
    call_command("migrate", "marketplace_ai", verbosity=0)
    assert differences() == [difference]
    run(difference.cure.split(", or ")[0])
    assert differences() == []


@pytest.mark.parametrize(
    "sql",
    [
        "REVOKE USAGE ON SCHEMA public FROM {role}, PUBLIC",
        f"ALTER TABLE {LOG} ENABLE ROW LEVEL SECURITY",
    ],
)
def test_a_function_whose_owner_does_not_reach_the_log(role: str, sql: str) -> None:
    run(f"ALTER FUNCTION marketplace_ai_edited() OWNER TO {role}")
    run(sql.format(role=role))
    [difference] = differences()
    assert f"marketplace_ai_edited runs as {role}" in difference.message


@pytest.mark.parametrize("table", [LOG, "marketplace_ai_encoder", CATEGORIES])
def test_a_table_whose_rows_are_hidden(role: str, table: str) -> None:
    run(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    assert differences() == []  # for their owner nothing is hidden
    [difference] = as_role(role)
    expected = f"Row level security may hide rows of {table} from the role {role}."
    assert difference.message == expected
    run(difference.cure.split(", or ")[0].replace("...", "seen"))
    assert as_role(role) == []
    run(f"CREATE POLICY fewer ON {table} AS RESTRICTIVE USING (true)")
    assert as_role(role) == [difference]
    run(f"ALTER ROLE {role} BYPASSRLS")
    assert as_role(role) == []


def test_a_trigger_for_a_replica_alone() -> None:
    run("ALTER TABLE marketplace_ai_jobposting ENABLE REPLICA TRIGGER marketplace_ai_created")
    states = {status.name: status.state for status in trigger.status()}
    assert states == {"marketplace_ai_created": "disabled", "marketplace_ai_edited": "installed"}
    run("ALTER TABLE marketplace_ai_exemplar ENABLE REPLICA TRIGGER marketplace_ai_go")
    [difference] = differences()
    assert difference.message.endswith("marketplace_ai_exemplar is disabled.")
    run("ALTER TABLE marketplace_ai_exemplar ENABLE ALWAYS TRIGGER marketplace_ai_go")
    assert differences() == []


def test_foreign_keys_that_are_not_enforced() -> None:
    """As tools that load data leave them behind, if they end too soon."""
    run("ALTER TABLE marketplace_ai_jobposting DISABLE TRIGGER ALL")
    assert foreign_keys.faults() == []
    [difference] = differences()
    assert difference.message == (
        "Foreign keys are not enforced on marketplace_ai_jobposting: their triggers are disabled."
    )
    call_command("migrate", "marketplace_ai", verbosity=0)
    assert differences() == [difference]
    run(difference.cure)
    assert differences() == []
