"""``manage.py`` as people and scripts call it: exit codes and output streams."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.conftest import CATALOG, EXEMPLARS
from tests.integration.databases import fresh_database

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
Run = Callable[..., subprocess.CompletedProcess[str]]

MANAGE = [sys.executable, str(ROOT / "manage.py")]


def environment(database_url: str) -> dict[str, str]:
    return {
        **os.environ,
        "DATABASE_URL": database_url,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "OMP_NUM_THREADS": "1",
    }


def runner(database_url: str) -> Run:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*MANAGE, *arguments],
            cwd=ROOT,
            env=environment(database_url),
            capture_output=True,
            text=True,
            timeout=100,
        )

    return run


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with fresh_database("command_line") as made:
        yield made


def clear_sentence(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that a refused command prints, on stderr only."""
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_a_day_of_an_operator(url: str, tmp_path: Path) -> None:
    run = runner(url)

    def table(name: str, content: str | bytes) -> str:
        file = tmp_path / name
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(file)

    catalog = table("catalog.csv", CATALOG)
    early = run("import_catalog", catalog)
    assert early.returncode == 1
    assert "manage.py migrate" in clear_sentence(early)

    assert run("migrate", "--verbosity", "0").returncode == 0
    assert run("import_catalog", catalog).stdout == "5 categories loaded.\n"

    dos = table("wrong.csv", "text,category\nrør,none\n".encode("cp865"))
    wrong = run("import_exemplars", dos)
    assert wrong.returncode == 2
    assert "line 2: byte 0x9b after 'r' is not UTF-8" in clear_sentence(wrong)
    assert run("import_exemplars").returncode == 2
    assert run("import_exemplars", "--no-such-option").returncode == 2
    rows = [f'"{text}",{key}' for key, texts in EXEMPLARS.items() for text in texts]
    exemplars = table("exemplars.csv", "\n".join(["text,category", *rows]))
    assert run("import_exemplars", exemplars).returncode == 0

    fitted = run("fit_classifier", "--json")
    assert fitted.returncode == 0, fitted.stderr
    assert json.loads(fitted.stdout)["calibrated_on"] == "exemplars"

    postings = table("postings.csv", "title,description\nMale stue,ca 40 kvm\nKlippe gress,\n")
    assert run("import_jobs", postings).stdout == "2 postings created.\n"
    drained = run("process_pending", "--drain")
    assert drained.returncode == 0, drained.stderr
    with psycopg.connect(url) as connection:
        decided = connection.execute(
            "SELECT job.title, category_key FROM marketplace_ai_decision AS decision "
            "JOIN marketplace_ai_jobposting AS job ON job.id = posting_id WHERE is_current "
            "ORDER BY job.id"
        ).fetchall()
    assert decided == [("Male stue", "maling"), ("Klippe gress", "plen")]

    backfilled = run("backfill_embeddings", "--json")
    assert json.loads(backfilled.stdout)["missing"] == 0
    bad = run("backfill_embeddings", "--since", "yesterday")
    assert bad.returncode == 2
    assert "2026-01-31" in clear_sentence(bad)

    alone = run("doctor", "--json")
    assert alone.returncode == 1
    failed = [f["name"] for f in json.loads(alone.stdout)["findings"] if not f["ok"]]
    assert failed == ["worker"]
    with worker(url):
        assert wait_for(lambda: run("doctor").returncode == 0)


@contextmanager
def worker(url: str) -> Iterator[None]:
    """Run a worker process during the block; stop it as a service manager would."""
    process = subprocess.Popen(
        [*MANAGE, "process_pending"],
        cwd=ROOT,
        env=environment(url),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            _, output = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 0, output
    assert "Traceback" not in output


def wait_for(condition: Callable[[], Any], seconds: float = 40) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.2)
    return False


def test_a_missing_database_is_reported_in_one_sentence() -> None:
    run = runner("postgres://127.0.0.1:1/nowhere")
    done = run("import_exemplars", "--from-jobs")
    assert done.returncode == 1
    assert clear_sentence(done).startswith("CommandError: The database cannot be used: ")
    examined = run("doctor", "--json")
    assert examined.returncode == 1
    report = json.loads(examined.stdout)
    assert [f["name"] for f in report["findings"] if not f["ok"]] == ["database"]


@pytest.mark.parametrize(
    "command",
    [
        "backfill_embeddings", "doctor", "evaluate_classifier", "fit_classifier", "import_catalog",
        "import_exemplars", "import_jobs", "process_pending",
    ],
)  # fmt: skip
def test_help_needs_no_server(command: str) -> None:
    done = runner("postgres://127.0.0.1:1/nowhere")(command, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: manage.py {command}")
    assert done.stderr == ""
