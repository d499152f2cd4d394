"""Whatever the database refuses, a command says it in one sentence."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from marketplace_ai.models import Category
from tests.integration.command_calls import failed

pytestmark = pytest.mark.django_db


def run(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def test_a_right_that_the_role_lacks() -> None:
    run("CREATE ROLE of_nobody; GRANT USAGE ON SCHEMA public TO of_nobody; SET ROLE of_nobody")
    expected = (
        "permission denied for table marketplace_ai_jobposting (SQLSTATE 42501). Grant the "
        "workers' database role this right, as docs/install.md says."
    )
    assert failed("encoders") == expected


def test_a_trigger_of_the_project_that_refuses_a_row(tmp_path: Any) -> None:
    Category.objects.create(slug="maling")
    run(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION 'the host says no' USING DETAIL = 'SECRET ROW'; END $$; "
        "CREATE TRIGGER refuse BEFORE INSERT ON marketplace_ai_exemplar FOR EACH ROW "
        "EXECUTE FUNCTION refuse()"
    )
    file = tmp_path / "exemplars.csv"
    file.write_text("text,category\nMale bod,maling\n")
    sentence = failed("import_exemplars", str(file))
    assert sentence == "The database refuses this: the host says no (SQLSTATE P0001)"
