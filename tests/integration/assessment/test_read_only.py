"""``assess`` writes nothing, and needs neither our tables nor a database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction
from django.db.utils import InternalError

from marketplace_ai.imports.categorized_postings import read_postings
from marketplace_ai.models import Decision, JobPosting, Outcome
from tests.integration.command_calls import call_json, refused
from tests.integration.databases import fresh_database
from tests.integration.worker_runs import automatic, drain

from .files import csv_file, postings

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
#: Everything that a command could leave behind, and how often each table was written to.
STATE = """
    SELECT 'table', relname, n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_xact_user_tables
    UNION ALL SELECT 'relation', relname, relkind::int FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace
    UNION ALL SELECT 'trigger', tgname, tgrelid::int FROM pg_trigger
    UNION ALL SELECT 'function', proname, 0 FROM pg_proc
        WHERE pronamespace = current_schema()::regnamespace
    ORDER BY 1, 2, 3
"""
#: A project with tables of its own and none of ours: what it prints, and what is there afterwards.
HOST = """
import json, sys
from io import StringIO
import django
django.setup()
from django.core.management import call_command
from django.db import connection
from tests.host.models import Job, Section
from tests.integration.assessment.files import postings
with connection.schema_editor() as editor:
    editor.create_model(Section)
    editor.create_model(Job)
for code in ("maling", "rorlegger", "plen"):
    Section.objects.create(ref=f"s-{code}", code=code, label=code)
Job.objects.bulk_create(
    Job(headline=text, section_id=f"s-{code}") for text, code in postings()
)
out = StringIO()
call_command("assess", from_jobs=True, json=True, stdout=out)
names = connection.introspection.table_names()
with connection.cursor() as cursor:
    cursor.execute("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal")
    print(json.dumps([names, cursor.fetchone()[0], json.loads(out.getvalue())]))
"""


def state() -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(STATE)
        return cursor.fetchall()


@pytest.fixture
def categorized(catalog: Any) -> None:
    JobPosting.objects.bulk_create(
        JobPosting(title=text, category=catalog[code]) for text, code in postings()
    )


def test_nothing_is_written_for_the_projects_own_postings(categorized: None) -> None:
    before = state()
    found = call_json("assess", from_jobs=True)
    assert found["rows"] == 180
    assert found["first_choice"]["share"] > 0.9
    assert found["left_out"]["rows"] == 180
    assert state() == before


def test_the_reading_transaction_cannot_write(categorized: None, monkeypatch: Any) -> None:
    from marketplace_ai.adapter import JobAdapter

    def eligible(self: JobAdapter, job: Any) -> bool:
        JobPosting.objects.update(title="changed")
        return True

    monkeypatch.setattr(JobAdapter, "eligible", eligible)
    with transaction.atomic(), pytest.raises(InternalError, match="read-only"):
        read_postings(limit=10)
    assert not JobPosting.objects.filter(title="changed").exists()


def test_what_the_machine_set_is_not_taken(fitted: None, catalog: Any, monkeypatch: Any) -> None:
    automatic(monkeypatch, catalog["maling"], Outcome.AUTOMATIC)
    JobPosting.objects.create(title="Male gjerde")
    drain()
    assert Decision.objects.count() == 1
    assert "none has a category that a person set" in refused("assess", from_jobs=True)
    JobPosting.objects.create(title="Klippe gress", category=catalog["plen"])
    assert read_postings(limit=10).true_labels == [("plen",)]


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {key: value for key, value in os.environ.items() if "DJANGO" not in key}
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, env={**inherited, **environment},
        capture_output=True, text=True, timeout=200,
    )  # fmt: skip


def test_a_database_without_our_tables_is_enough() -> None:
    with fresh_database("assess_host") as url:
        done = run("-c", HOST, DATABASE_URL=url, DJANGO_SETTINGS_MODULE="tests.host_settings")
        assert done.returncode == 0, done.stderr
        names, triggers, found = json.loads(done.stdout.splitlines()[-1])
        assert sorted(names) == ["Jobs of the host", "host_section"]
        assert triggers == 0
        assert found["rows"] == 180
        assert found["since"] is not None
        with psycopg.connect(url) as database:
            tables = database.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
            assert tables.fetchone() == (2,)


def test_a_wheel_and_a_file_are_enough(tmp_path: Path) -> None:
    file = tmp_path / "postings.csv"
    file.write_text(csv_file(), encoding="utf-8")
    page = tmp_path / "page.html"
    done = run(
        "-m", "marketplace_ai", "assess", str(file), "--encoder", "dummy", "--html", str(page),
        DATABASE_URL="postgres://127.0.0.1:1/nowhere",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "First choice right:" in done.stdout
    assert "Fitting on all" in done.stderr
    assert "<!doctype html>" in page.read_text(encoding="utf-8")


def test_other_commands_need_a_project() -> None:
    done = run("-m", "marketplace_ai", "doctor")
    assert done.returncode == 2
    assert "need a project" in done.stderr


def test_from_jobs_without_a_project_says_that_there_is_no_database() -> None:
    done = run("-m", "marketplace_ai", "assess", "--from-jobs")
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "database" in done.stderr
