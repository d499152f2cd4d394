"""A project's own migrations take nothing away: each is followed by a comparison of the schema."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from demo.services.data_dir import find_installation
from tests.integration.databases import fresh_database
from tests.integration.schema.project_process import run_python

pytestmark = pytest.mark.slow


SETTINGS = """
from tests.settings import *
INSTALLED_APPS = ["shop", *INSTALLED_APPS]
MARKETPLACE_AI_JOB_MODEL = "shop.Job"
MARKETPLACE_AI_CATEGORY_MODEL = "shop.Section"
MARKETPLACE_AI_ADAPTER = "shop.ai.Adapter"
"""
ADAPTER = """
from marketplace_ai.adapter import JobAdapter

class Adapter(JobAdapter):
    text_columns = ("title",)
    set_by_field = created_field = category_parent_field = None
    category_field = "section"
    category_key_field = "code"
"""
MODELS = """
from django.db import models

class Section(models.Model):
    id = models.{key}(primary_key=True)
    code = models.CharField(max_length=40, unique=True)

class Job(models.Model):
    id = models.{key}(primary_key=True)
    title = models.CharField(max_length=80)
    section = models.ForeignKey(Section, null=True, on_delete=models.SET_NULL)

    class Meta:
        db_table = "{table}"
"""
#: Makes the project's migrations for its models of now, applies them, and compares.
MIGRATE = """
import json, sys
import django
django.setup()
from django.core.management import call_command
from django.core.checks import Tags, run_checks
call_command("makemigrations", "shop", verbosity=0)
call_command("migrate", verbosity=0)
from marketplace_ai.encoders import active
from marketplace_ai.queue import trigger
from marketplace_ai.schema.differences import differences
if "bare" not in sys.argv:
    active.ensure_active()
print(json.dumps({
    "differences": [d.message for d in differences()],
    "triggers": sorted({s.state for s in trigger.status()}),
    "checks": [m.id for m in run_checks(tags=[Tags.database], databases=["default"])],
}))
"""
WHOLE: dict[str, Any] = {"differences": [], "triggers": ["installed"], "checks": []}

ROWS = """
INSERT INTO shop_section (id, code) VALUES (1, 'a'), (2, 'b');
INSERT INTO shop_job (id, title) VALUES (1, 'one'), (2, 'two'), (3, 'three');
INSERT INTO marketplace_ai_decision (posting_id, category_id, category_key, category_name, outcome,
    is_answered, text_digest, decided_at, is_current, match_exemplars, match_similarities,
    match_shares, head_share, choice_keys, choice_probabilities)
SELECT id, 1, 'a', 'A', 'review', false, '', now(), true, '{}', '{}', '{}', 0, '{}', '{}'
FROM shop_job;
INSERT INTO marketplace_ai_exemplar (text, text_digest, category_id, category_key, is_none, source,
    state, created_at, posting_id)
VALUES ('x', 'x', 1, 'a', false, 'imported', 'active', now(), NULL),
       ('y', 'y', 2, 'b', false, 'reviewed', 'active', now(), 2);
"""

CATEGORIES = "SELECT posting_id, category_id FROM marketplace_ai_decision ORDER BY 1"


class Project:
    """A project in its own folder, with a database of its own."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        app = folder / "shop"
        (app / "migrations").mkdir(parents=True)
        (app / "__init__.py").touch()
        (app / "migrations/__init__.py").touch()
        (app / "ai.py").write_text(ADAPTER)
        (folder / "shop_settings.py").write_text(SETTINGS)

    def migrate(
        self, key: str = "BigAutoField", table: str = "shop_job", *options: str
    ) -> dict[str, Any]:
        """Give the models this key and table, and run what a developer runs. With the option
        "bare", no encoder is registered."""
        (self.folder / "shop/models.py").write_text(MODELS.format(key=key, table=table))
        out, _ = run_python(self.folder, "shop_settings", self.url, "-c", MIGRATE, *options)
        report: dict[str, Any] = json.loads(out.splitlines()[-1])
        return report

    def run(self, sql: str) -> list[Any]:
        with psycopg.connect(self.url, autocommit=True) as session:
            cursor = session.execute(sql)
            return cursor.fetchall() if cursor.description else []


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with fresh_database("project") as url:
        yield Project(tmp_path, url)


def test_a_key_is_widened_a_table_renamed_and_a_schema_moved(project: Project) -> None:
    assert project.migrate("AutoField") == WHOLE
    project.run(ROWS)

    # Django drops every foreign key to the column, and puts back those it knows.
    assert project.migrate("BigAutoField") == WHOLE
    project.run("INSERT INTO shop_job (id, title) VALUES (3000000000, 'far')")
    assert project.run("SELECT max(posting_id) FROM marketplace_ai_postingchange") == [
        (3_000_000_000,)
    ]
    project.run("DELETE FROM shop_job WHERE id = 1")
    project.run("DELETE FROM shop_section WHERE id = 1")
    assert project.run(
        "SELECT posting_id, category_id FROM marketplace_ai_decision ORDER BY 1"
    ) == [
        (2, None),
        (3, None),
    ]
    assert project.run("SELECT state FROM marketplace_ai_exemplar ORDER BY id") == [
        ("orphaned",),
        ("active",),
    ]

    assert project.migrate(table="shop_ad") == WHOLE
    project.run("DELETE FROM shop_ad WHERE id = 2")
    assert project.run("SELECT count(*) FROM marketplace_ai_exemplar") == [(1,)]

    project.run("ALTER SCHEMA public RENAME TO market")
    project.run("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = market', "
                "current_database()); END $$")  # fmt: skip
    # Before the next migrate, too, what an exemplar's trigger does is not lost.
    project.run("DELETE FROM shop_section")
    assert project.migrate(table="shop_ad") == WHOLE
    project.run("DELETE FROM marketplace_ai_postingchange")
    project.run("INSERT INTO shop_ad (title) VALUES ('new')")
    assert project.run("SELECT kind FROM marketplace_ai_postingchange") == [("created",)]


def test_the_projects_table_is_moved_to_another_schema(project: Project) -> None:
    assert project.migrate() == WHOLE
    project.run("CREATE SCHEMA legacy; ALTER TABLE shop_job SET SCHEMA legacy")
    project.run("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = public, legacy', "
                "current_database()); END $$")  # fmt: skip
    assert project.migrate() == WHOLE
    project.run("INSERT INTO shop_job (title) VALUES ('new')")
    assert project.run("SELECT kind FROM marketplace_ai_postingchange") == [("created",)]


def test_rows_whose_target_went_while_the_key_was_missing(project: Project) -> None:
    """What a project lost before it had the version that restores its keys."""
    project.migrate()
    project.run(ROWS)
    for table, column in (
        ("decision", "posting_id"), ("decision", "category_id"), ("exemplar", "posting_id"),
        ("exemplar", "category_id"),
    ):  # fmt: skip
        name = f"marketplace_ai_{table}_{column}_fk"
        project.run(f"ALTER TABLE marketplace_ai_{table} DROP CONSTRAINT {name}")
    project.run("DELETE FROM shop_job WHERE id = 2; DELETE FROM shop_section WHERE id = 1")
    assert project.run("SELECT count(*) FROM marketplace_ai_decision") == [(3,)]
    assert project.migrate() == WHOLE
    assert project.run(
        "SELECT posting_id, category_id FROM marketplace_ai_decision ORDER BY 1"
    ) == [
        (1, None),
        (3, None),
    ]
    assert project.run("SELECT text, state FROM marketplace_ai_exemplar") == [("x", "orphaned")]


def test_data_alone_is_restored_into_a_migrated_database(project: Project, tmp_path: Path) -> None:
    """``pg_restore --data-only``: the encoder's row comes without its partition."""
    programs = find_installation() / "bin"
    if not (programs / "pg_restore").exists():
        pytest.skip("the wheel has no pg_restore")
    project.migrate()
    project.run(ROWS)
    project.run("DELETE FROM marketplace_ai_postingchange")
    dump = str(tmp_path / "data.dump")
    with fresh_database("restored") as restored:
        subprocess.run(
            [programs / "pg_dump", "-Fc", "--data-only", "-t", "marketplace_ai_*", "-t", "shop_*",
             "-f", dump, project.url],
            check=True,
        )  # fmt: skip
        project.url = restored
        project.migrate("BigAutoField", "shop_job", "bare")
        done = subprocess.run(
            [programs / "pg_restore", "--data-only", "-d", restored, dump],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        # A row is there already: the number that changes of exemplars are counted in.
        failed = [line for line in done.stderr.splitlines() if "COPY failed" in line]
        assert all("marketplace_ai_exemplargeneration" in line for line in failed), done.stderr
        assert project.run("SELECT text, state FROM marketplace_ai_exemplar ORDER BY 1") == [
            ("x", "active"),
            ("y", "active"),
        ]
        assert project.run("SELECT count(*) FROM marketplace_ai_encoder") == [(1,)]
        find = "SELECT to_regclass('marketplace_ai_postingembedding_1') IS NOT NULL"
        assert project.run(find) == [(False,)]
        assert project.migrate("BigAutoField", "shop_job", "bare") == WHOLE
        assert project.run(find) == [(True,)]
