"""Row level security hides postings from the workers' role: they are named, kept, found again."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from django.db import connection

from marketplace_ai.models import AuditedPosting, JobPosting, PostingChange, QueuedPosting
from marketplace_ai.queue import intake
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
    for policy in ("seen", "reading"):
        execute(f"DROP POLICY IF EXISTS {policy} ON {TABLE}")
    execute(f"ALTER TABLE {TABLE} DISABLE ROW LEVEL SECURITY")
    execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


@contextmanager
def seen_by(url: str) -> Iterator[None]:
    """The test's own connection as the workers' role."""
    execute(f"SET SESSION AUTHORIZATION {urlsplit(url).username}")
    try:
        yield
    finally:
        execute("RESET SESSION AUTHORIZATION")


def test_hidden_postings_are_named_kept_and_found_again(url: str, tmp_path: Path) -> None:
    with workers.queue_worker(tmp_path, workers.environment(url)) as worker:
        JobPosting.objects.create(title="Male bod")
        worker.wait_for(lambda: settled(url), "nothing is decided")
        execute(f"ALTER TABLE {TABLE} ENABLE ROW LEVEL SECURITY")
        for text in titles(0, 20):
            JobPosting.objects.create(title=text)
        JobPosting.objects.filter(title=titles(0, 1)[0]).delete()
        # The deleted one is not taken for hidden.
        worker.wait_for(lambda: PostingChange.objects.count() == 19, "it is kept")
        worker.wait_for(
            lambda: "hides 19 changed postings" in worker.log.read_text(), "nothing is said"
        )
        with seen_by(url):
            found = doctor()
            assert "hides 19 changed postings" in found["row level security"]
            assert "CREATE POLICY" in found["row level security"]
        assert "worker" not in doctor()  # it decides everything that it sees
        execute(POLICY)
        worker.wait_for(lambda: settled(url), "they are not found again")
        with seen_by(url):
            assert "row level security" not in doctor()
    ledger.assert_exactly_once(workers.database(), 20)


def test_what_may_be_seen_and_not_updated_is_hidden_too(url: str, tmp_path: Path) -> None:
    """A lock needs a policy for UPDATE; without, a posting looks locked for ever."""
    jobs = [JobPosting.objects.create(title=text) for text in titles(0, 6)]
    PostingChange.objects.filter(posting=jobs[0].pk)._raw_delete("default")
    QueuedPosting.objects.create(
        posting=jobs[0], queued_at=jobs[0].created_at, scheduled_at=jobs[0].created_at
    )
    execute(f"ALTER TABLE {TABLE} ENABLE ROW LEVEL SECURITY")
    execute(f"CREATE POLICY reading ON {TABLE} FOR SELECT USING (true)")
    with (
        psycopg.connect(workers.database()) as project,
        workers.queue_worker(tmp_path, workers.environment(url)) as worker,
    ):
        project.execute(f"SELECT FROM {TABLE} WHERE id = {jobs[1].pk} FOR UPDATE")
        worker.wait_for(
            lambda: "hides 5 changed postings" in worker.log.read_text(), "nothing is said"
        )
        waiting = QueuedPosting.objects.filter(last_error__contains="Row level security")
        worker.wait_for(lambda: waiting.count() == 1, "the queued one is encoded for ever")
        with seen_by(url):
            assert "hides 5 changed postings" in doctor()["row level security"]
            assert "hides 1 changed postings" in doctor()["set-up"]
        project.rollback()
        execute(POLICY)
        QueuedPosting.objects.update(scheduled_at=jobs[0].created_at)
        worker.wait_for(lambda: settled(url), "they are not found again")
    ledger.assert_exactly_once(workers.database(), len(jobs))


def test_many_deleted_postings_are_forgotten(url: str) -> None:
    """Among hidden ones, and beside one that the project holds locked."""
    hidden = JobPosting.objects.create(title="Male bod")
    gone = [JobPosting.objects.create(title=text).pk for text in titles(0, 300)]
    JobPosting.objects.filter(pk__in=gone).delete()
    execute(f"ALTER TABLE {TABLE} ENABLE ROW LEVEL SECURITY")
    with seen_by(url):
        collecting = intake.Intake()
        for _ in range(10):
            collecting.collect_next()
        assert collecting.hidden == collecting.hidden_changes == 1
    assert [change.posting_id for change in PostingChange.objects.all()] == [hidden.pk]
    assert not AuditedPosting.objects.exists()


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


@pytest.mark.parametrize("table", ["postingchange", "encoder", "category"])
def test_a_table_of_ours_whose_rows_are_hidden_is_named(
    url: str, tmp_path: Path, table: str
) -> None:
    """As where somebody protects every table of the schema: no statement of a worker fails."""
    table = f"marketplace_ai_{table}"
    execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    try:
        with workers.queue_worker(tmp_path, workers.environment(url)) as worker:
            named = f"may hide rows of {table} from the role"
            worker.wait_for(lambda: named in worker.text(), "it is not named")
            assert "BYPASSRLS" in worker.text()
    finally:
        execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
