"""What administrators set on a database, its roles, its extensions and its triggers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.db import connection

from marketplace_ai.models import Decision, JobPosting, QueuedPosting
from marketplace_ai.serving.active_model import ModelLoader
from tests.acceptance import ledger, workers
from tests.faults.postings import settled, titles
from tests.faults.test_error_kinds import work

pytestmark = pytest.mark.django_db(transaction=True)


def execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@contextmanager
def undone(statement: str, by: str) -> Iterator[None]:
    execute(statement)
    try:
        yield
    finally:
        execute(by)


def test_sessions_that_idle_while_a_batch_is_encoded_do_not_end(tmp_path: Path) -> None:
    url = workers.database()
    database = f'ALTER DATABASE "{connection.settings_dict["NAME"]}"'
    with (
        undone(
            f"{database} SET idle_session_timeout = '200ms'",
            f"{database} RESET idle_session_timeout",
        ),
        workers.queue_worker(tmp_path, workers.environment(url, FAULTS_SECONDS=0.5)) as worker,
    ):
        JobPosting.objects.create(title="Male bod")
        worker.wait_for(lambda: settled(url), "it is encoded again and again", patience=20)
        assert "idle-session" not in worker.text()
    ledger.assert_exactly_once(url, 1)


def test_pgvector_moved_out_of_reach_is_no_postings_fault() -> None:
    models = ModelLoader()
    work(models, lambda: True)
    for title in titles(0, 5):
        JobPosting.objects.create(title=title)
    with undone(
        "CREATE SCHEMA elsewhere; ALTER EXTENSION vector SET SCHEMA elsewhere",
        "ALTER EXTENSION vector SET SCHEMA public; DROP SCHEMA elsewhere",
    ):
        work(models, lambda: False, pauses=12)
        assert not QueuedPosting.objects.filter(attempts__gt=0).exists()
        assert QueuedPosting.objects.filter(last_error__contains="pgvector's schema").exists()
    assert work(models, lambda: settled(workers.database()))
    ledger.assert_exactly_once(workers.database(), 5)


@pytest.mark.parametrize(
    "answer", ["RETURN NULL;", "NEW.category_id := OLD.category_id; RETURN NEW;"]
)
def test_a_category_that_a_trigger_lets_fall_is_not_claimed(answer: str) -> None:
    """No statement fails: the row is skipped, or keeps what it had."""
    models, url = ModelLoader(), workers.database()
    work(models, lambda: True)
    jobs = [JobPosting.objects.create(title=f"Male rom {n}") for n in range(4)]
    bad = jobs[2].pk
    with undone(
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF NEW.id = {bad} THEN {answer} END IF; RETURN NEW; END $$; "
        "CREATE TRIGGER keep BEFORE UPDATE ON marketplace_ai_jobposting FOR EACH ROW "
        "EXECUTE FUNCTION keep()",
        "DROP FUNCTION keep CASCADE",
    ):
        failed = QueuedPosting.objects.failed()
        assert work(models, lambda: failed.exists() and Decision.objects.count() == 3)
        assert "A trigger on marketplace_ai_jobposting keeps" in failed.get().last_error
        assert failed.get().posting_id == bad
    failed.update(failed_at=None, attempts=0)
    assert work(models, lambda: settled(url))
    ledger.assert_exactly_once(url, 4)
