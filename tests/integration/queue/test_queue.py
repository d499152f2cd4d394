"""The intake from the change log to the queue, and claims from the queue."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest
from django.db import connection, connections

from marketplace_ai.conf import conf
from marketplace_ai.db import advisory_locks
from marketplace_ai.encoders import active
from marketplace_ai.models import JobPosting, PostingChange, Priority, QueuedPosting
from marketplace_ai.queue import claim as claims
from marketplace_ai.queue import intake, sql, stats
from marketplace_ai.queue.lease import Liveness
from tests.integration.encoders.factories import candidate

pytestmark = pytest.mark.django_db


@pytest.fixture
def worker() -> Any:
    liveness = Liveness()
    yield liveness.acquire()
    liveness.close()


def release_lost_soon() -> int:
    """Release lost claims once the server has noticed that a connection ended, some ms later."""
    deadline = time.monotonic() + 10
    while not (freed := claims.release_lost()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return freed


def pending() -> QueuedPosting:
    return QueuedPosting.objects.get()


def test_changes_of_one_posting_are_merged(posting: JobPosting) -> None:
    for text in "abc":
        JobPosting.objects.filter(pk=posting.pk).update(title=text)
    assert intake.collect() == 1
    assert pending().posting_id == posting.pk
    assert pending().priority == Priority.FRESH
    assert PostingChange.objects.count() == 0


def test_the_change_of_a_deleted_posting_is_deleted(posting: JobPosting) -> None:
    posting.delete()
    assert intake.collect() == 0
    assert PostingChange.objects.count() == 0


def test_deleting_a_pending_posting_does_no_harm(posting: JobPosting) -> None:
    intake.collect()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM marketplace_ai_jobposting")
    assert QueuedPosting.objects.count() == 0


def test_more_than_one_batch_is_collected(monkeypatch: Any) -> None:
    monkeypatch.setattr(intake, "STEP_ROWS", 3)
    JobPosting.objects.bulk_create([JobPosting(title=str(n)) for n in range(10)])
    assert intake.collect() == 10
    assert PostingChange.objects.count() == 0


def test_an_edit_retries_a_failed_posting(posting: JobPosting) -> None:
    intake.collect()
    QueuedPosting.objects.update(failed_at="2026-01-01T00:00Z", attempts=3)
    JobPosting.objects.update(title="nytt")
    intake.collect()
    assert pending().failed_at is None
    assert pending().attempts == 0


def test_a_claim_is_exclusive_and_in_order(worker: int) -> None:
    JobPosting.objects.bulk_create([JobPosting(title=str(n)) for n in range(5)])
    intake.collect()
    QueuedPosting.objects.filter(posting__title__in=["0", "1"]).update(priority=Priority.BACKFILL)
    first = claims.claim(worker)
    assert first is not None
    titles = dict(JobPosting.objects.values_list("pk", "title"))
    assert [titles[row.posting_id] for row in first.rows] == ["2", "3", "4", "0", "1"]
    assert claims.claim(worker) is None


def test_a_claim_is_bounded_whatever_the_planner_estimates(worker: int, settings: Any) -> None:
    """A queue that was empty when it was analyzed is taken for empty: it is the outer side of a
    loop, and a subquery inside is evaluated again for each of its rows."""
    settings.MARKETPLACE_AI_CLAIM_SIZE = 2
    JobPosting.objects.bulk_create([JobPosting(title=str(n)) for n in range(5)])
    intake.collect()
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE pg_class SET reltuples = 0, relpages = 300 "
            "WHERE oid = 'marketplace_ai_queuedposting'::regclass"
        )
    claimed = claims.claim(worker)
    assert claimed is not None
    assert len(claimed.rows) == 2


def test_a_claim_is_bounded(worker: int, settings: Any) -> None:
    settings.MARKETPLACE_AI_CLAIM_SIZE = 2
    JobPosting.objects.bulk_create([JobPosting(title=str(n)) for n in range(5)])
    intake.collect()
    claimed = claims.claim(worker)
    assert claimed is not None
    assert len(claimed.rows) == 2


def test_isolated_rows_are_claimed_one_by_one(worker: int) -> None:
    JobPosting.objects.bulk_create([JobPosting(title=str(n)) for n in range(3)])
    intake.collect()
    QueuedPosting.objects.update(is_isolated=True)
    assert claims.claim(worker) is None
    claimed = claims.claim(worker, isolated=True)
    assert claimed is not None
    assert len(claimed.rows) == 1


def test_the_rows_of_a_live_worker_are_not_released(posting: JobPosting, worker: int) -> None:
    intake.collect()
    claims.claim(worker)
    assert claims.release_lost() == 0


def test_the_rows_of_a_dead_worker_are_released_at_once_uncounted(posting: JobPosting) -> None:
    dead = Liveness()
    number = dead.acquire()
    intake.collect()
    claims.claim(number)
    dead.close()
    assert release_lost_soon() == 1
    assert (pending().token, pending().is_isolated, pending().attempts) == (None, True, 0)


def test_the_rows_of_a_candidate_are_released_as_well(posting: JobPosting) -> None:
    active.ensure_active()
    encoder = candidate()
    intake.collect()
    dead = Liveness()
    claimed = claims.claim(dead.acquire(), encoder_id=encoder.pk)
    assert claimed is not None
    dead.close()
    assert release_lost_soon() == 1
    row = QueuedPosting.objects.get(encoder=encoder)
    assert (row.token, row.is_isolated, row.attempts) == (None, True, 0)


def test_the_rows_of_a_frozen_worker_are_released_after_the_lease(
    posting: JobPosting, worker: int
) -> None:
    intake.collect()
    claims.claim(worker)
    QueuedPosting.objects.update(lease_expires_at="2026-01-01T00:00Z")
    assert claims.release_lost() == 1


def test_only_a_lost_isolated_row_counts_and_fails_after_the_last_attempt(
    posting: JobPosting,
) -> None:
    intake.collect()
    QueuedPosting.objects.update(is_isolated=True)
    for attempt in range(1, conf.max_attempts + 1):
        dead = Liveness()
        QueuedPosting.objects.update(scheduled_at="2026-01-01T00:00Z")  # its waiting time is over
        assert claims.claim(dead.acquire(), isolated=True)
        dead.close()
        release_lost_soon()
        assert pending().attempts == attempt
    assert pending().failed_at is not None
    assert pending().last_error == claims.LOST_ISOLATED


def test_a_failure_is_counted_and_waits(posting: JobPosting, worker: int) -> None:
    intake.collect()
    claimed = claims.claim(worker)
    assert claimed is not None
    claims.fail(claimed.token, claimed.rows[0].id, "ValueError: nul \x00 and \ud800")
    row = pending()
    assert (row.attempts, row.is_isolated, row.token, row.failed_at) == (1, True, None, None)
    assert row.scheduled_at > row.queued_at
    assert claims.claim(worker, isolated=True) is None


def test_another_token_changes_nothing(posting: JobPosting, worker: int) -> None:
    intake.collect()
    claimed = claims.claim(worker)
    assert claimed is not None
    other, ids = uuid.uuid4(), [claimed.rows[0].id]
    claims.release(other, ids)
    claims.fail(other, ids[0], "x")
    claims.finish(other, ids)
    assert pending().token == claimed.token


@pytest.mark.django_db(transaction=True)
def test_a_locked_posting_stays_in_the_log_and_blocks_no_other() -> None:
    locked, other = JobPosting.objects.create(title="a"), JobPosting.objects.create(title="b")
    project = connections["default"].copy()
    try:
        with project.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute(
                "SELECT 1 FROM marketplace_ai_jobposting WHERE id = %s FOR UPDATE", [locked.pk]
            )
            assert intake.collect() == 1
            assert pending().posting_id == other.pk
            cursor.execute("COMMIT")
    finally:
        project.close()
    assert intake.collect() == 1


@pytest.mark.parametrize(
    "name", [n for n, v in vars(sql).items() if n.isupper() and isinstance(v, str)]
)
def test_every_statement_is_planned(name: str) -> None:
    """A renamed column or a wrong type shows here, with the statement's name."""
    values = {
        "after": "(0,0)", "bound": 1, "first": 1,
        "limit": 1, "token": uuid.uuid4(), "worker": 1, "lease": 30,
        "isolated": False, "above": -1, "encoder": None, "liveness": advisory_locks.LIVENESS,
        "max_attempts": 3,
        "reason": "", "ids": [1], "id": 1, "delay": 0, "error": "", "jobs": [1],
        "vectors": [], "digests": [], "queue_encoder": None, "vector_only": False,
        "priority": 0, "decisions": [1], "classifier": None, "posting": [1], "category": [1],
        "key": [""], "name": [""], "probability": [0.5], "threshold": [None], "outcome": [""],
        "machine": [None], "answered": [False], "digest": [b""], "own": [0.0],
        "match_exemplars": [], "match_similarities": [], "match_shares": [], "choice_keys": [],
        "choice_probabilities": [], "first_match": [1], "last_match": [0], "first_choice": [1],
        "last_choice": [0], "first_second": [1], "last_second": [0], "second_keys": [],
        "encoders": [1], "states": [""], "categories": [1], "keys": [""], "names": [""],
        "probabilities": [0.5], "outcomes": [""], "share": 0.01,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN " + sql.statement(getattr(sql, name)), values)
        assert cursor.fetchall()


def test_postponed_rows_are_found_by_the_indexes_of_claimable_ones() -> None:
    """`doctor` must not read a queue of millions for them."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {stats.POSTPONED}", {"bound": 1})
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Seq Scan on marketplace_ai_queuedposting" not in plan
    assert "marketplace_ai_queue_unclaimed" in plan
    assert "marketplace_ai_queue_candidate" in plan


@pytest.mark.slow
def test_a_claim_reads_only_the_rows_it_takes() -> None:
    """However long the queue is, rows are read from the index, in its order."""
    values = {"token": uuid.uuid4(), "worker": 1, "lease": 30, "encoder": None, "limit": 64}
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO marketplace_ai_jobposting (title) "
            "SELECT n FROM generate_series(1, 30000) AS n"
        )
        cursor.execute(
            "INSERT INTO marketplace_ai_queuedposting "
            "(posting_id, priority, is_vector_only, is_isolated, attempts, queued_at, "
            "scheduled_at, last_error) "
            "SELECT id, 0, false, false, 0, now(), now(), '' FROM marketplace_ai_jobposting"
        )
        cursor.execute("ANALYZE marketplace_ai_queuedposting")
        for isolated in (False, True):
            cursor.execute(
                f"EXPLAIN {sql.statement(sql.CLAIM_QUEUED)}",
                {**values, "isolated": isolated, "above": -1},
            )
            plan = "\n".join(row[0] for row in cursor.fetchall())
            assert "marketplace_ai_queue_unclaimed" in plan, plan
            assert "Sort" not in plan, plan
            assert "Seq Scan" not in plan, plan


@pytest.mark.slow
def test_the_rows_of_a_candidate_are_found_by_their_index() -> None:
    """However many rows wait for the active encoder."""
    active.ensure_active()
    encoder = candidate()
    values = {"token": uuid.uuid4(), "worker": 1, "lease": 30, "limit": 64, "above": -1}
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO marketplace_ai_jobposting (title) "
            "SELECT n FROM generate_series(1, 30000) AS n"
        )
        cursor.execute(
            "INSERT INTO marketplace_ai_queuedposting (posting_id, encoder_id, priority, "
            "is_vector_only, is_isolated, attempts, queued_at, scheduled_at, last_error) "
            "SELECT id, CASE WHEN id %% 2 = 0 THEN %s::bigint END, 0, true, false, 0, now(), "
            "now(), '' FROM marketplace_ai_jobposting",
            [encoder.pk],
        )
        cursor.execute("ANALYZE marketplace_ai_queuedposting")
        for isolated in (False, True):
            claim = sql.statement(sql.CLAIM_QUEUED, for_encoder=True)
            cursor.execute(
                f"EXPLAIN {claim}", {**values, "isolated": isolated, "encoder": encoder.pk}
            )
            plan = "\n".join(row[0] for row in cursor.fetchall())
            assert "marketplace_ai_queue_candidate" in plan, plan
            assert "Sort" not in plan, plan
            assert "Seq Scan" not in plan, plan
        cursor.execute("UPDATE marketplace_ai_queuedposting SET scheduled_at = 'infinity'")
        cursor.execute("ANALYZE marketplace_ai_queuedposting")
        assert not claims.is_due([encoder.pk])
        cursor.execute(f"EXPLAIN {sql.HAS_CLAIMABLE}", {"encoders": [encoder.pk]})
        plan = "\n".join(row[0] for row in cursor.fetchall())
        assert "Seq Scan" not in plan, plan
