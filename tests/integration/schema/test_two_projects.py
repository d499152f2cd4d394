"""Two projects in one database, each in a schema of its own, as with one paid database for both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.integration.databases import fresh_database
from tests.integration.schema.project_process import run_python

pytestmark = pytest.mark.slow

SETTINGS = """
import os
from tests.settings import *
DATABASES["default"]["OPTIONS"]["options"] = f"-c search_path={os.environ['PROJECT']}"
"""
#: As they are written in SQL: one needs quotes.
SCHEMAS = ("first", '"Tenant-1"')
POSTINGS = """
INSERT INTO marketplace_ai_jobposting (title) SELECT 'Male ' || n
FROM generate_series(1, {count}) AS n
"""
COUNTS = """
SELECT (SELECT count(*) FROM marketplace_ai_decision),
       (SELECT count(*) FROM marketplace_ai_postingembedding),
       (SELECT count(*) FROM marketplace_ai_queuedposting),
       (SELECT count(*) FROM marketplace_ai_postingchange)
"""


class Project:
    """The demo project, whose sessions have a search path of their own."""

    def __init__(self, folder: Path, database: str, schema: str) -> None:
        self._folder, self._database, self._schema = folder, database, schema
        (folder / "shared_settings.py").write_text(SETTINGS)

    def also(self, schema: str) -> Project:
        """This project with one more schema in its search path."""
        return Project(self._folder, self._database, f"{self._schema},{schema}")

    def manage(self, *arguments: str, fails: bool = False) -> str:
        printed = run_python(
            self._folder, "shared_settings", self._database, "-m", "django", *arguments,
            fails=fails, PROJECT=self._schema,
        )  # fmt: skip
        return "".join(printed)

    def check(self) -> str:
        return self.manage("check", "--database", "default")

    def run(self, statement: str) -> list[Any]:
        options = f"-c search_path={self._schema}"
        with psycopg.connect(self._database, autocommit=True, options=options) as session:
            cursor = session.execute(statement)
            return cursor.fetchall() if cursor.description else []


@pytest.fixture
def projects(tmp_path: Path) -> Iterator[list[Project]]:
    with fresh_database("shared") as database:
        with psycopg.connect(database, autocommit=True) as session:
            for schema in SCHEMAS:
                session.execute(f"CREATE SCHEMA {schema}")
        yield [Project(tmp_path, database, schema) for schema in SCHEMAS]


def test_each_has_its_own_tables_triggers_and_work(projects: list[Project]) -> None:
    projects[0].manage("migrate", "--verbosity", "0")
    # The extension is in the first one's schema, where its migration made it.
    refusal = projects[1].manage("migrate", "--verbosity", "0", fails=True)
    assert "pgvector is in the schema first, which the search_path lacks." in refusal
    assert "Traceback" not in refusal
    projects[0].run("ALTER EXTENSION vector SET SCHEMA public")
    projects = [project.also("public") for project in projects]
    projects[1].manage("migrate", "--verbosity", "0")
    for number, project in enumerate(projects, 1):
        project.run(POSTINGS.format(count=10 * number))
        project.manage("process_pending", "--drain")
    for number, project in enumerate(projects, 1):
        assert project.run(COUNTS) == [(10 * number, 10 * number, 0, 0)]
        assert "no issues" in project.check()
    # One that goes takes nothing of the other's with it.
    projects[0].manage("migrate", "marketplace_ai", "zero", "--verbosity", "0")
    assert "no issues" in projects[1].check()
