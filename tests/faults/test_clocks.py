"""The one clock that counts is the database's; a worker's clock may be wrong and jump."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import marketplace_ai
from marketplace_ai.models import JobPosting, QueuedPosting
from tests.acceptance import ledger, workers
from tests.faults.postings import create, settled
from tests.faults.scale import scaled
from tests.faults_app import RAISES

APP = Path(marketplace_ai.__file__).parent
#: What would read this machine's clock where rows become due, are claimed and written.
WALL_CLOCKS = {"time.time", "time.time_ns", "timezone.now", "dt.datetime.now", "datetime.now"}


@pytest.mark.django_db(transaction=True)
def test_workers_whose_clocks_jump_by_an_hour(tmp_path: Path) -> None:
    """No claim is taken for lost, none comes early, none is made twice."""
    url = workers.database()
    # A batch takes longer than the second after which lost claims are looked for.
    environment = workers.environment(
        url, claim_size=10, lease_seconds=20, FAULTS_SECONDS=0.15, FAULTS_CLOCK=3600
    )
    with (
        workers.queue_worker(tmp_path / "a", environment) as a,
        workers.queue_worker(tmp_path / "b", environment) as b,
    ):
        postings = create(0, each=scaled(8, 100))
        a.wait_for(lambda: settled(url), "the queue does not drain")
        encoded = a.encoded() + b.encoded()
        assert set(encoded.values()) == {1}
        assert "Freed" not in a.log.read_text() + b.log.read_text()
    ledger.assert_exactly_once(url, postings)


@pytest.mark.django_db(transaction=True)
def test_a_failed_posting_waits_by_the_databases_clock(tmp_path: Path) -> None:
    JobPosting.objects.create(title=RAISES)
    url = workers.database()
    environment = workers.environment(url, max_attempts=3, FAULTS_CLOCK=3600)
    with workers.queue_worker(tmp_path, environment) as worker:
        worker.wait_for(lambda: QueuedPosting.objects.failed().exists(), "it does not fail")
    row = QueuedPosting.objects.get()
    assert row.failed_at is not None
    # It waited 2 s and then 4 s.
    assert 6 <= (row.failed_at - row.queued_at).total_seconds() < 600


def test_no_step_of_the_pipeline_reads_a_wall_clock() -> None:
    files = [
        *(APP / "serving").glob("*.py"),
        *(APP / "queue").glob("*.py"),
        *(APP / "worker").glob("*.py"),
    ]
    assert len(files) > 10
    found = [
        f"{file.name}:{node.lineno}"
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in WALL_CLOCKS
    ]
    assert not found
