"""Backfills: workers advance them step by step, after fresh postings; they can be resumed."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from marketplace_ai.encoders import active
from marketplace_ai.encoding import DummyEncoder
from marketplace_ai.models import (
    Decision,
    EncoderState,
    JobPosting,
    Outcome,
    PostingEmbedding,
    Priority,
    QueuedPosting,
    TableScan,
)
from marketplace_ai.queue import backfill, scans
from marketplace_ai.queue import claim as claims
from marketplace_ai.queue.lease import Liveness
from marketplace_ai.serving.active_model import ModelLoader
from marketplace_ai.worker.loop import Worker
from tests.acceptance import ledger, workers
from tests.integration.worker_runs import drain, idle_worker

from .scan_helpers import advance_all, older, process_queue, queued

pytestmark = pytest.mark.django_db


class TestQueueing:
    def test_it_queues_no_faster_than_workers_process(self, encoder: Any, small: None) -> None:
        keys = [job.pk for job in older(40)]
        scan, _ = backfill.request(encoder)
        assert advance_all() == 2
        assert queued() == keys[:10]
        QueuedPosting.objects.filter(posting_id__in=keys[:5]).delete()
        assert advance_all() == 1
        assert queued() == keys[5:15]
        scan.refresh_from_db()
        assert (scan.last_key, scan.scanned_count, scan.queued_count) == (str(keys[14]), 15, 15)

    def test_capacity_grows_with_the_workers(self, encoder: Any, small: None) -> None:
        older(40)
        backfill.request(encoder)
        elsewhere = Liveness()  # a worker of another project in this database
        try:
            elsewhere.acquire()
            with idle_worker(), idle_worker(), idle_worker():
                advance_all()
        finally:
            elsewhere.close()
        assert len(queued()) == 30

    def test_isolated_and_fresh_rows_do_not_count(self, encoder: Any, small: None) -> None:
        older(40)
        backfill.request(encoder)
        advance_all()
        QueuedPosting.objects.filter(pk__in=QueuedPosting.objects.values("pk")[:5]).update(
            is_isolated=True
        )
        assert advance_all() == 1
        QueuedPosting.objects.update(priority=Priority.FRESH)
        assert advance_all() == 2

    def test_a_worker_completes_it(self, encoder: Any, small: None) -> None:
        older(43)
        scan, _ = backfill.request(encoder)
        drain()
        assert Decision.objects.count() == PostingEmbedding.objects.count() == 43
        scan.refresh_from_db()
        assert (scan.finished_at is not None, scan.queued_count) == (True, 43)

    def test_it_resumes_where_it_was(self, encoder: Any, small: None, monkeypatch: Any) -> None:
        all_keys = [job.pk for job in older(40)]
        examined: list[Any] = []
        find = backfill.find_missing

        def recorded(scan: TableScan, encoder: Any, keys: list[Any], **options: Any) -> list[Any]:
            examined.extend(keys if not options else [])
            return find(scan, encoder, keys, **options)

        monkeypatch.setattr(backfill, "find_missing", recorded)
        backfill.request(encoder)
        while advance_all():
            process_queue()
        assert examined == all_keys

    def test_postings_created_and_deleted_meanwhile(self, encoder: Any, small: None) -> None:
        jobs = older(30)
        scan, _ = backfill.request(encoder)
        advance_all()
        # The last one examined, earlier ones and later ones.
        JobPosting.objects.filter(pk__in=[jobs[i].pk for i in (3, 9, 10, 29)]).delete()
        fresh = JobPosting.objects.create(title="Male stue")
        drain()
        assert Decision.objects.count() == 27
        assert Decision.objects.filter(posting=fresh).count() == 1
        scan.refresh_from_db()
        assert scan.finished_at is not None

    def test_a_posting_with_a_vector_and_no_decision_is_decided(
        self, encoder: Any, small: None
    ) -> None:
        """As all older postings after a candidate became active."""
        (job,) = older(1)
        PostingEmbedding.objects.create(
            posting=job, encoder=encoder, vector=[1.0] * 64, text_digest=b"x"
        )
        assert backfill.count(encoder, vectors_only=True) == (0, False)
        assert backfill.count(encoder) == (1, False)
        backfill.request(encoder, vectors_only=True)
        advance_all()
        assert not QueuedPosting.objects.exists()
        backfill.request(encoder)
        advance_all()
        assert list(QueuedPosting.objects.values_list("posting", "is_vector_only")) == [
            (job.pk, False)
        ]

    def test_complete_postings_are_skipped(self, encoder: Any, small: None) -> None:
        jobs = older(12)
        PostingEmbedding.objects.create(
            posting=jobs[0], encoder=encoder, vector=[1.0] * 64, text_digest=b"x"
        )
        for job in jobs[:2]:  # the second is blank
            Decision.objects.create(
                posting=job, encoder=encoder, outcome=Outcome.NONE, text_digest=b"x",
                decided_at=timezone.now(),
            )  # fmt: skip
        backfill.queue([jobs[2].pk])
        scan, _ = backfill.request(encoder)
        advance_all()
        scan.refresh_from_db()
        assert (scan.scanned_count, scan.queued_count) == (12, 9)
        assert sorted(queued()) == [job.pk for job in jobs[2:]]

    def test_what_another_worker_just_did_is_not_done_twice(
        self, encoder: Any, small: None, monkeypatch: Any
    ) -> None:
        first, second = older(2)
        queue = backfill.queue

        def queue_after_another_worker(jobs: list[Any], **options: Any) -> Any:
            Decision.objects.create(
                posting=first, encoder=encoder, outcome=Outcome.NONE, text_digest=b"x",
                decided_at=timezone.now(),
            )  # fmt: skip
            return queue(jobs, **options)

        monkeypatch.setattr(backfill, "queue", queue_after_another_worker)
        scan, _ = backfill.request(encoder)
        advance_all()
        assert queued() == [second.pk]
        scan.refresh_from_db()
        assert scan.queued_count == 1

    def test_a_fresh_posting_waits_for_one_batch_at_most(
        self, encoder: Any, small: None, monkeypatch: Any
    ) -> None:
        monkeypatch.setattr(backfill, "SCAN_STEP", 100)
        older(200)
        backfill.request(encoder)
        fresh: list[int] = []
        batches: list[bool] = []

        def create(written: Any) -> None:
            if len(batches) == 3:
                fresh.append(JobPosting.objects.create(title="Male stue").pk)
            batches.append(Decision.objects.filter(posting_id__in=fresh).exists())

        queue_worker = Worker(ModelLoader(), on_batch=create)
        try:
            while not any(batches):
                assert queue_worker.run_once()
            # Created after the fourth, when a fifth may have been in the encoder already.
            assert len(batches) <= 6
        finally:
            queue_worker.close()
        assert QueuedPosting.objects.count() > 20

    def test_a_scan_that_fails_does_not_delay_fresh_postings(
        self, encoder: Any, monkeypatch: Any, caplog: Any
    ) -> None:
        from marketplace_ai.adapter import JobAdapter

        older(1)
        backfill.request(encoder)
        monkeypatch.setattr(JobAdapter, "jobs", lambda self: JobPosting.objects.filter(nope=1))
        queue_worker = Worker(ModelLoader())
        try:
            assert not queue_worker.run_once()
            monkeypatch.undo()
            fresh = JobPosting.objects.create(title="Male stue")
            assert queue_worker.run_once()
        finally:
            queue_worker.close()
        assert "A table scan failed" in caplog.text
        assert Decision.objects.get().posting_id == fresh.pk
        assert not queued()

    def test_an_encoder_that_is_being_built_has_separate_rows(
        self, encoder: Any, small: None
    ) -> None:
        keys = [job.pk for job in older(3)]
        building = active.create_encoder("next", DummyEncoder(32))
        assert building.state == EncoderState.BUILDING
        scan, _ = backfill.request(building)
        assert not scans.advance(encoder)  # not a scan of the active encoder
        assert scans.advance(building)
        assert queued() == keys
        assert claims.claim(1) is None
        claimed = claims.claim(1, encoder_id=building.pk)
        assert claimed is not None
        assert [row.posting_id for row in claimed.rows] == keys
        scan.refresh_from_db()
        assert scan.finished_at is not None


def test_a_step_reads_only_the_rows_it_examines(encoder: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO marketplace_ai_jobposting (title) "
            "SELECT n FROM generate_series(1, 30000) AS n"
        )
        cursor.execute("ANALYZE marketplace_ai_jobposting")
        backfill.request(encoder)
        with CaptureQueriesContext(connection) as queries:
            assert scans.advance(encoder)
        reads = [q["sql"] for q in queries if '"marketplace_ai_jobposting"' in q["sql"]]
        assert len(reads) == 4  # next keys, what is missing, queueing, what is still missing
        for statement in reads:
            cursor.execute("EXPLAIN " + statement)
            plan = "\n".join(row[0] for row in cursor.fetchall())
            assert "marketplace_ai_jobposting_pkey" in plan, plan
            assert "Seq Scan on marketplace_ai_jobposting" not in plan, plan


class TestSeveralWorkers:
    @pytest.mark.django_db(transaction=True)
    def test_a_step_is_taken_by_one_worker(self, encoder: Any, small: None) -> None:
        older(20)
        backfill.request(encoder)
        other = connections["default"].copy()
        try:
            with other.cursor() as cursor:
                cursor.execute("BEGIN")
                cursor.execute("SELECT FROM marketplace_ai_tablescan FOR UPDATE")
                assert not scans.advance(encoder)
                cursor.execute("ROLLBACK")
            assert scans.advance(encoder)
        finally:
            other.close()

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.slow
    def test_concurrent_workers_queue_each_posting_once(
        self, encoder: Any, settings: Any, monkeypatch: Any
    ) -> None:
        settings.MARKETPLACE_AI_BACKFILL_MAX_QUEUED_BATCHES = 100
        monkeypatch.setattr(backfill, "SCAN_STEP", 7)
        keys = [job.pk for job in older(500)]
        scan, _ = backfill.request(encoder)

        def advance() -> None:
            try:
                while TableScan.objects.unfinished().exists():
                    scans.advance(encoder)
            finally:
                connection.close()

        threads = [threading.Thread(target=advance) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert queued() == keys
        scan.refresh_from_db()
        assert (scan.scanned_count, scan.queued_count) == (500, 500)

    @pytest.mark.django_db(transaction=True)
    def test_locked_postings_are_neither_waited_for_nor_forgotten(
        self, encoder: Any, small: None
    ) -> None:
        jobs = older(12)
        scan, _ = backfill.request(encoder)
        host = connections["default"].copy()
        try:
            with host.cursor() as cursor:
                cursor.execute("BEGIN")
                cursor.execute(
                    "SELECT FROM marketplace_ai_jobposting WHERE id = %s FOR UPDATE", [jobs[1].pk]
                )
                cursor.execute("DELETE FROM marketplace_ai_jobposting WHERE id = %s", [jobs[2].pk])
                while len(queued()) < 10:
                    assert scans.advance(encoder)
                scan.refresh_from_db()
                assert scan.locked_keys == [str(jobs[1].pk), str(jobs[2].pk)]
                assert scan.finished_at is None
                cursor.execute("COMMIT")
        finally:
            host.close()
        process_queue()
        advance_all()
        assert queued() == [jobs[1].pk]
        scan.refresh_from_db()
        assert (scan.locked_keys, scan.finished_at is not None, scan.queued_count) == ([], True, 11)

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.slow
    def test_a_worker_killed_during_a_step(self, encoder: Any, tmp_path: Path) -> None:
        url = workers.database()
        keys = [job.pk for job in older(2600)]
        scan, _ = backfill.request(encoder)
        environment = workers.environment(url, claim_size=100)
        with psycopg.connect(url) as host, psycopg.connect(url, autocommit=True) as watch:
            # An uncommitted queue row of the same posting: the step waits for it.
            host.execute(
                "INSERT INTO marketplace_ai_queuedposting (posting_id, priority, is_vector_only, "
                "is_isolated, attempts, queued_at, scheduled_at, last_error) "
                "VALUES (%s, 0, false, false, 0, now(), now(), '')",
                [keys[2500]],
            )
            with workers.queue_worker(tmp_path, environment) as worker:
                waits = (
                    "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"
                )
                worker.wait_for(lambda: watch.execute(waits).fetchone() == (1,), "no step waits")
                worker.kill()
                worker.wait_for_end()
            host.rollback()
        scan.refresh_from_db()
        assert (scan.last_key, scan.queued_count) == (str(keys[1999]), 2000)
        with (
            workers.queue_worker(tmp_path / "first", environment) as first,
            workers.queue_worker(tmp_path / "second", environment) as second,
        ):
            first.wait_for(lambda: Decision.objects.count() > 2100, "nothing is decided")
            first.kill()
            second.wait_for(
                lambda: not TableScan.objects.unfinished().exists() and ledger.queue(url).settled,
                "it does not end",
            )
        ledger.assert_exactly_once(url, 2600)
        scan.refresh_from_db()
        assert scan.queued_count == 2600
