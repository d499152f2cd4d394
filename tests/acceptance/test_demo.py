"""The demo as a newcomer starts it: with the real encoder, on its own servers."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psycopg
import pytest

from demo.services import EmbeddedPostgres, EmbeddedRedis, find_running, remove, running
from tests.acceptance import ledger, workers

POSTINGS, ANSWERED = 160, 138
STATE = {
    "postings": "SELECT id FROM marketplace_ai_jobposting",
    # xmin tells a row that was written again from one that was left as it was.
    "vectors": "SELECT exemplar_id, xmin::text FROM marketplace_ai_exemplarembedding",
    "classifiers": "SELECT id FROM marketplace_ai_classifierversion",
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("demo")
    yield path
    remove(path)


@pytest.fixture(scope="module")
def first(root: Path) -> dict[str, float]:
    """The summary of the first run, which sets everything up."""
    return run_once(root)


@contextmanager
def demo(root: Path, *options: str, encoder: str = "bundled") -> Iterator[workers.Processes]:
    # "" stands for what is not given: the run of the tests has its own servers and settings.
    environment = {
        "MARKETPLACE_AI_DEMO_ROOT": str(root),
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATABASE_URL": "",
        "REDIS_URL": "",
        "MARKETPLACE_AI_ENCODER": encoder,
    }
    processes = workers.Processes(["manage.py", "demo", *options], root, environment)
    try:
        yield processes
    finally:
        processes.end()


def run_once(root: Path) -> dict[str, float]:
    with demo(root, "--once", "--json") as process:
        assert process.process.wait(600) == 0, process.text()
        assert process.wait_for_end() == 0
        assert_no_servers(root)
        (line,) = process.out.read_text().splitlines()
    summary: dict[str, float] = json.loads(line)
    return summary


def assert_no_servers(root: Path) -> None:
    """By the marks in their command lines, since their environment is bare."""
    marks = [EmbeddedPostgres(root).mark, EmbeddedRedis(root).mark]
    lines = workers.command_lines().values()
    assert not [line for line in lines if any(mark in line for mark in marks)]


def state(root: Path) -> dict[str, set[Any]]:
    with running(root) as urls, psycopg.connect(urls.database_url) as connection:
        ledger.assert_exactly_once(urls.database_url, POSTINGS)
        return {name: set(connection.execute(query)) for name, query in STATE.items()}


def assert_figures(summary: dict[str, float]) -> None:
    assert summary["postings"] == POSTINGS
    outcomes = ("automatic", "automatic_parent", "review", "none")
    assert sum(summary[name] for name in outcomes) == POSTINGS
    assert summary["first_choice_correct"] >= 0.92 * ANSWERED
    assert summary["automatic"] >= 0.40 * POSTINGS
    assert summary["automatic_correct"] >= 0.95 * summary["automatic"]
    assert summary["none_rows_untagged"] >= 18


def test_the_demo_reaches_its_figures(first: dict[str, float]) -> None:
    assert_figures(first)


def test_a_second_run_creates_the_postings_again_and_keeps_the_rest(
    first: dict[str, float], root: Path
) -> None:
    before = state(root)
    assert_figures(run_once(root))
    after = state(root)
    assert not before["postings"] & after["postings"]
    assert before["vectors"] == after["vectors"]
    assert before["classifiers"] == after["classifiers"]


def test_the_web_page_answers_while_the_queue_is_worked_and_ctrl_c_ends_all(
    first: dict[str, float], root: Path
) -> None:
    with demo(root) as process:
        process.wait_for(lambda: "Admin: " in process.out.read_text(), "no address is shown")
        found = re.search(r"Admin: http://127.0.0.1:(\d+)/admin/", process.out.read_text())
        urls = find_running(root)
        assert found and urls
        with psycopg.connect(urls.database_url) as connection:
            connection.execute(
                "INSERT INTO marketplace_ai_jobposting (title, description) "
                "SELECT 'Male rom ' || n, repeat('Vegger og tak, to strøk. ', 20) "
                "FROM generate_series(1, 2000) AS n"
            )
        for _ in range(5):
            page = HTTPConnection("127.0.0.1", int(found[1]), timeout=30)
            page.request("GET", "/admin/login/")
            assert page.getresponse().status == 200
            page.close()
        assert not ledger.queue(urls.database_url).settled
        # A terminal sends it to the whole group; an impatient person sends it twice.
        os.killpg(process.process.pid, signal.SIGINT)
        process.wait_for(lambda: "Stopping" in process.out.read_text(), "it does not stop")
        os.killpg(process.process.pid, signal.SIGINT)
        assert process.wait_for_end() == 0, process.text()
        assert_no_servers(root)
        assert "Traceback" not in process.log.read_text()


def test_it_begins_without_an_exemplar_and_learns_from_answers(tmp_path: Path) -> None:
    """With the dummy encoder, whose words are enough to see it learn."""
    try:
        with demo(tmp_path, "--nothing", "--once", "--json", encoder="dummy") as process:
            assert process.process.wait(300) == 0, process.text()
            summary = json.loads(process.out.read_text().splitlines()[-1])
        assert summary["automatic"] == 0
        assert summary["first_choice_correct"] > 0.5 * ANSWERED
        steps = summary["steps"]
        assert [step["answers"] for step in steps] == [0, 40, 120, 300, 678]
        assert steps[0]["first_choice_correct"] == summary["first_choice_correct"]
        assert steps[-1]["first_choice_correct"] > steps[0]["first_choice_correct"]
        assert "0 answers: first choice right" in process.text()
    finally:
        remove(tmp_path)
