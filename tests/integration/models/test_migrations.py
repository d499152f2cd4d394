"""Migrations up, down and up again, with the shipped models and with a project's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.db import OperationalError, connection

from marketplace_ai.schema import foreign_keys
from marketplace_ai.schema.operations import DatabaseForeignKey
from tests.integration.databases import fresh_database

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
CASCADE, SET_NULL, NO_ACTION = "c", "n", "a"

JOB = """
class Job(models.Model):
    number = models.UUIDField(primary_key=True)
    title = models.CharField(max_length=80)
    description = models.TextField(db_column="Text")
    category = models.ForeignKey({category}, null=True, on_delete=models.SET_NULL)
"""
SECTION = """
class Section(models.Model):
    code = models.CharField(primary_key=True, max_length=40)
    parent = models.ForeignKey("self", null=True, on_delete=models.CASCADE)
"""
#: A project whose models came after its first migration.
FIRST = """
from django.db import migrations, models

class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel("Shop", [
            ("id", models.BigAutoField(
                auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
        ]),
    ]
"""
LATER = """
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

class Migration(migrations.Migration):
    dependencies = [
        ("shop", "0001_initial"),
        *{dependencies},
    ]
    run_before = [("marketplace_ai", "{before}")]
    operations = [
        migrations.CreateModel("Section", [
            ("code", models.CharField(max_length=40, primary_key=True, serialize=False)),
            ("parent", models.ForeignKey(null=True, to="shop.section",
                on_delete=django.db.models.deletion.CASCADE)),
        ]),
        migrations.CreateModel("Job", [
            ("number", models.UUIDField(primary_key=True, serialize=False)),
            ("title", models.CharField(max_length=80)),
            ("description", models.TextField(db_column="Text")),
            ("category", models.ForeignKey(null=True, to=settings.MARKETPLACE_AI_CATEGORY_MODEL,
                on_delete=django.db.models.deletion.SET_NULL)),
        ]),
    ]
"""


def shop(folder: Path, models: str, settings: str) -> None:
    """Write a project's app and settings, as its developer would."""
    migrations = folder / "shop" / "migrations"
    migrations.mkdir(parents=True)
    (folder / "shop" / "__init__.py").touch()
    (migrations / "__init__.py").touch()
    (folder / "shop" / "models.py").write_text(f"from django.db import models\n{models}")
    (folder / "shop_settings.py").write_text(
        "from tests.settings import *\n"
        "INSTALLED_APPS = ['shop', *INSTALLED_APPS]\n" + textwrap.dedent(settings)
    )


def migrate(folder: Path, settings: str, *apps_to_migrate: str) -> dict[str, Any]:
    with fresh_database("migrating") as url:
        done = subprocess.run(
            [
                sys.executable,
                "-W",
                "error::RuntimeWarning",
                "-m",
                "tests.integration.models.migrate_script",
                *apps_to_migrate,
            ],
            cwd=ROOT,
            env={
                **os.environ,
                "DATABASE_URL": url,
                "DJANGO_SETTINGS_MODULE": settings,
                "PYTHONPATH": str(folder),
            },
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def check(report: dict[str, Any], *, job: str, category: str, columns: list[str]) -> None:
    """Check what holds with any models: foreign keys, tables and triggers; none after zero."""
    assert report["missing_migrations"] == ""
    up = report["up"]
    keys = up["foreign_keys"]
    for table in ("postingembedding", "queuedposting", "decision", "exemplar"):
        assert keys[f"marketplace_ai_{table}.posting_id"] == [job, CASCADE]
    assert keys["marketplace_ai_auditedposting.posting_id"] == [job, SET_NULL]
    for column in (
        "decision.category_id", "exemplar.category_id", "auditedposting.category_id",
        "auditedposting.answer_id", "automationstop.category_id",
    ):  # fmt: skip
        assert keys[f"marketplace_ai_{column}"] == [category, SET_NULL]
    assert keys["marketplace_ai_postingembedding.encoder_id"] == ["marketplace_ai_encoder", CASCADE]
    # Only compared, never followed; and the log must not slow down the project's INSERT.
    assert "marketplace_ai_decision.machine_category_id" not in keys
    assert "marketplace_ai_postingchange.posting_id" not in keys
    assert up["tables"]["marketplace_ai_postingchange"] == ["r", []]
    assert up["tables"]["marketplace_ai_postingembedding"][0] == "p"

    assert set(up["triggers"]) == {"marketplace_ai_created", "marketplace_ai_edited"}
    assert {table for table, _ in up["triggers"].values()} == {job}
    body = up["triggers"]["marketplace_ai_edited"][1]
    compared = [line for line in body.splitlines() if "IS DISTINCT FROM" in line]
    assert len(compared) == 1
    for column in columns:
        assert f'after."{column}"::text IS DISTINCT FROM before."{column}"::text' in compared[0]
    assert compared[0].count("IS DISTINCT FROM") == len(columns)

    zero = report["zero"]
    assert [name for name in zero["tables"] if name.startswith("marketplace_ai_")] == []
    assert zero["functions"] == []
    assert zero["triggers"] == {}
    assert report["again"] == up


def test_shipped_models(tmp_path: Path) -> None:
    report = migrate(tmp_path, "tests.settings")
    check(
        report,
        job="marketplace_ai_jobposting",
        category="marketplace_ai_category",
        columns=["title", "description"],
    )


def test_models_of_the_project_with_other_names_and_keys(tmp_path: Path) -> None:
    report = migrate(tmp_path, "tests.host_settings")
    check(
        report,
        job="Jobs of the host",
        category="host_section",
        columns=["headline", "body text", "status"],
    )
    for unused in ("marketplace_ai_jobposting", "marketplace_ai_category"):
        assert unused not in report["up"]["tables"]
    # Removing the app leaves the project its postings.
    assert "Jobs of the host" in report["zero"]["tables"]


@pytest.mark.parametrize(
    "name", ["'marketplace_ai.Category'", "settings.MARKETPLACE_AI_CATEGORY_MODEL"]
)
def test_postings_of_the_project_with_the_shipped_categories(tmp_path: Path, name: str) -> None:
    imports = "from django.conf import settings\n"
    shop(
        tmp_path,
        imports + JOB.format(category=name),
        """
        MARKETPLACE_AI_JOB_MODEL = "shop.Job"
        MARKETPLACE_AI_CATEGORY_MODEL = "marketplace_ai.Category"
        MARKETPLACE_AI_ADAPTER = "marketplace_ai.adapter.JobAdapter"
        """,
    )
    report = migrate(tmp_path, "shop_settings", "shop")
    check(report, job="shop_job", category="marketplace_ai_category", columns=["title", "Text"])


def test_the_shipped_postings_with_categories_of_the_project(tmp_path: Path) -> None:
    shop(tmp_path, SECTION, "MARKETPLACE_AI_CATEGORY_MODEL = 'shop.Section'")
    report = migrate(tmp_path, "shop_settings", "shop")
    check(
        report,
        job="marketplace_ai_jobposting",
        category="shop_section",
        columns=["title", "description"],
    )


def later(
    folder: Path, settings: str, category: str, before: str, dependencies: str
) -> dict[str, Any]:
    models = "class Shop(models.Model):\n    pass\n" + SECTION + JOB.format(category=category)
    shop(folder, models, settings)
    migrations = folder / "shop" / "migrations"
    (migrations / "0001_initial.py").write_text(FIRST)
    (migrations / "0002_later.py").write_text(
        LATER.format(before=before, dependencies=dependencies)
    )
    return migrate(folder, "shop_settings")


def test_postings_created_after_the_first_migration_of_the_project(tmp_path: Path) -> None:
    report = later(
        tmp_path,
        "MARKETPLACE_AI_JOB_MODEL = 'shop.Job'",
        category="'marketplace_ai.Category'",
        before="0003_tables",
        dependencies='[("marketplace_ai", "0001_category")]',
    )
    check(report, job="shop_job", category="marketplace_ai_category", columns=["title", "Text"])


def test_both_models_created_after_the_first_migration_of_the_project(tmp_path: Path) -> None:
    report = later(
        tmp_path,
        "MARKETPLACE_AI_JOB_MODEL = 'shop.Job'\nMARKETPLACE_AI_CATEGORY_MODEL = 'shop.Section'",
        category="Section",
        before="0002_job_posting",
        dependencies="[]",
    )
    check(report, job="shop_job", category="shop_section", columns=["title", "Text"])


def test_categories_created_after_the_first_migration_of_the_project(tmp_path: Path) -> None:
    """The shipped postings refer to them, so they must exist one migration earlier."""
    report = later(
        tmp_path,
        "MARKETPLACE_AI_CATEGORY_MODEL = 'shop.Section'",
        category="Section",
        before="0002_job_posting",
        dependencies="[]",
    )
    check(
        report,
        job="marketplace_ai_jobposting",
        category="shop_section",
        columns=["title", "description"],
    )


@pytest.mark.parametrize("way", ["database_forwards", "database_backwards"])
@pytest.mark.django_db(transaction=True)
def test_a_foreign_key_to_a_table_of_the_project_does_not_wait_long(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the project's writes would wait behind the migration."""
    if way == "database_forwards":
        monkeypatch.setattr(foreign_keys, "name", lambda field: "another")
    operation = DatabaseForeignKey("AuditedPosting", "posting", "SET NULL")
    state = SimpleNamespace(apps=apps)
    host = connection.copy()
    host.set_autocommit(False)
    try:
        with host.cursor() as cursor:
            cursor.execute("LOCK TABLE marketplace_ai_jobposting IN ROW EXCLUSIVE MODE")
        with (
            pytest.raises(OperationalError, match="lock timeout"),
            connection.schema_editor() as editor,
        ):
            editor.execute("SET LOCAL statement_timeout = '30s'")  # instead of a hang
            getattr(operation, way)("marketplace_ai", editor, state, state)
    finally:
        host.rollback()
        host.close()
