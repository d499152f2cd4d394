"""Row level security hides postings from the workers' role: they are named, kept, found again."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.db import connection

from marketplace_ai.models import JobPosting, PostingChange, QueuedPosting
from tests.acceptance import ledger, workers
from tests.faults.postings import settled, titles
from tests.faults.test_error_kinds import doctor

pytestmark = pytest.mark.django_db(transaction=True)

TABLE = "marketplace_ai_jobposting"
POLICY = f"CREATE POLICY seen ON {TABLE} USING (true) WITH CHECK (true)"


def execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.fixture
def url() -> Iterator[str]:
    """The database as a role with DML rights sees it."""
    role = f"worker_{secrets.token_hex(4)}"
    execute(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'; GRANT ALL ON SCHEMA public TO {role}")
    execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}")
    execute(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}")
    parts = urlsplit(workers.database())
    yield parts._replace(netloc=f"{role}:secret@{parts.netloc.split('@')[-1]}").geturl()
    execute(
        f"DROP POLICY IF EXISTS seen ON {TABLE}; ALTER TABLE {TABLE} DISABLE ROW LEVEL SECURITY"
    )
    execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_hidden_postings_are_named_kept_and_found_again(url: str, tmp_path: Path) -> None:
    with workers.queue_worker(tmp_path, workers.environment(url)) as worker:
        JobPosting.objects.create(title="Male bod")
        worker.wait_for(lambda: settled(url), "nothing is decided")
        execute(f"ALTER TABLE {TABLE} ENABLE ROW LEVEL SECURITY")
        for text in titles(0, 20):
            JobPosting.objects.create(title=text)
        JobPosting.objects.filter(title=titles(0, 1)[0]).delete()
        worker.wait_for(lambda: "hides" in doctor().get("worker", ""), "doctor does not say it")
        assert "CREATE POLICY" in doctor()["worker"]
        # The deleted one is not taken for hidden.
        worker.wait_for(lambda: PostingChange.objects.count() == 19, "it is kept")
        assert "hides 19 changed postings" in worker.log.read_text()
        execute(POLICY)
        worker.wait_for(lambda: settled(url), "they are not found again")
        worker.wait_for(lambda: "worker" not in doctor(), "doctor still complains")
    ledger.assert_exactly_once(workers.database(), 20)


def test_a_queued_posting_that_is_hidden_meanwhile_stays(url: str, tmp_path: Path) -> None:
    jobs = [JobPosting.objects.create(title=text) for text in titles(0, 5)]
    PostingChange.objects.all()._raw_delete("default")
    QueuedPosting.objects.bulk_create(
        QueuedPosting(posting=job, queued_at=job.created_at, scheduled_at=job.created_at)
        for job in jobs
    )
    execute(f"ALTER TABLE {TABLE} ENABLE ROW LEVEL SECURITY")
    with workers.queue_worker(tmp_path, workers.environment(url)) as worker:
        waiting = QueuedPosting.objects.filter(last_error__contains="Row level security")
        worker.wait_for(lambda: waiting.count() == len(jobs), "they are not kept")
        assert "hides" in doctor()["set-up"]
        execute(POLICY)
        QueuedPosting.objects.update(scheduled_at=jobs[0].created_at)
        worker.wait_for(lambda: settled(url), "they are not found again")
    ledger.assert_exactly_once(workers.database(), len(jobs))


def test_drain_ends_with_hidden_postings(url: str, tmp_path: Path) -> None:
    execute(f"ALTER TABLE {TABLE} ENABLE ROW LEVEL SECURITY")
    JobPosting.objects.create(title="Male bod")
    JobPosting.objects.update(title="Male stue")
    command = ["django", "process_pending", "--drain"]
    with workers.running(command, tmp_path, workers.environment(url)) as process:
        assert process.wait_for_end() == 1
        assert "hides 1 changed postings" in process.text()
    assert PostingChange.objects.count() == 2
