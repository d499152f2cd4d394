"""Backfills: workers advance them step by step, after fresh postings; they can be resumed."""

from __future__ import annotations

import datetime as dt
import threading
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from marketplace_ai.doctor.diagnose import examine
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
    ScanPurpose,
    TableScan,
)
from marketplace_ai.queue import backfill, scans
from marketplace_ai.queue import claim as claims
from marketplace_ai.queue.lease import Liveness
from marketplace_ai.serving.active_model import ModelLoader
from marketplace_ai.worker.loop import Worker
from tests.acceptance import ledger, workers
from tests.integration.command_calls import call, call_json, failed
from tests.integration.worker_runs import drain, idle_worker

from .scan_helpers import advance_all, older, process_queue, queued

pytestmark = pytest.mark.django_db


@pytest.fixture
def encoder(db: Any) -> Any:
    return active.ensure_active()[0]


@pytest.fixture
def small(settings: Any, monkeypatch: Any) -> None:
    """Steps of 5 postings while fewer than 10 wait."""
    settings.MARKETPLACE_AI_CLAIM_SIZE = 10
    settings.MARKETPLACE_AI_BACKFILL_MAX_QUEUED_BATCHES = 1
    monkeypatch.setattr(backfill, "SCAN_STEP", 5)


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


class TestCommand:
    @pytest.mark.slow
    def test_it_requests_a_backfill(self, encoder: Any, small: None) -> None:
        older(40)
        result = call_json("backfill_embeddings")
        assert (result["missing"], result["queued"], result["all_queued"]) == (40, 10, False)
        assert result["pending"] == 10
        output = call("backfill_embeddings")
        assert "of 30 the workers queue the rest as they go" in output
        assert TableScan.objects.get().queued_count == 10
        drain()
        assert Decision.objects.count() == 40
        assert call_json("backfill_embeddings")["missing"] == 0

    @pytest.mark.slow
    def test_other_options_are_another_backfill(self, encoder: Any, small: None) -> None:
        older(15)
        for options in ({}, {"vectors_only": True}, {"since": "2020-01-01"}, {"limit": 4}, {}):
            call("backfill_embeddings", **options)
        assert TableScan.objects.count() == 4
        drain()
        assert not TableScan.objects.unfinished().exists()
        assert PostingEmbedding.objects.count() == 15

    def test_a_limit(self, encoder: Any, small: None) -> None:
        keys = [job.pk for job in older(20)]
        result = call_json("backfill_embeddings", limit=7)
        assert (result["missing"], result["queued"], result["all_queued"]) == (7, 7, True)
        assert queued() == keys[:7]

    @pytest.mark.slow
    def test_stopping_and_resuming(self, encoder: Any, small: None) -> None:
        keys = [job.pk for job in older(40)]
        assert call("backfill_embeddings", stop=True) == "No backfill is under way.\n"
        call("backfill_embeddings")
        assert call_json("backfill_embeddings", stop=True) == {"encoder": "dummy", "stopped": 1}
        drain()
        assert Decision.objects.count() == 10
        assert "Stopped after 10 of 40 postings" in finding("backfill")
        call("backfill_embeddings")
        assert queued() == keys[10:20]
        drain()
        assert Decision.objects.count() == 40

    def test_a_large_table_is_estimated(self, encoder: Any, monkeypatch: Any) -> None:
        older(40)
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE marketplace_ai_jobposting, marketplace_ai_postingembedding")
        monkeypatch.setattr(backfill, "MAX_COUNTED_ROWS", 10)
        result = call_json("backfill_embeddings", dry_run=True)
        assert result["estimated"]
        assert result["missing"] == pytest.approx(40, abs=10)
        assert call("backfill_embeddings", dry_run=True).startswith("About ")

    def test_plain_lines_show_rate_and_time_left(
        self, encoder: Any, small: None, monkeypatch: Any, capsys: Any
    ) -> None:
        from marketplace_ai.management import console

        monkeypatch.setattr(console, "LINE_SECONDS", 0.0)
        older(40)
        call_command("backfill_embeddings")
        lines = capsys.readouterr().err.splitlines()
        assert lines[0] == "Queueing …"
        assert lines[1].startswith("Queueing: 5 of 40 in ")
        assert "/s, " in lines[1]
        assert lines[1].endswith(" s left)")

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.slow
    def test_wait(self, encoder: Any, small: None, tmp_path: Path) -> None:
        older(60)
        environment = workers.environment(workers.database(), claim_size=10)
        with workers.queue_worker(tmp_path, environment) as worker:
            worker.wait_for(lambda: "worker" in worker_sessions(), "there is no worker")
            result = call_json("backfill_embeddings", wait=True)
        assert (result["queued"], result["all_queued"], result["pending"]) == (60, True, 0)
        assert Decision.objects.count() == 60

    def test_wait_ends_when_it_is_stopped(
        self, encoder: Any, small: None, monkeypatch: Any
    ) -> None:
        older(40)
        monkeypatch.setattr("time.sleep", lambda seconds: backfill.stop(encoder))
        with idle_worker():
            assert "was stopped" in failed("backfill_embeddings", wait=True, json=True)


def worker_sessions() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(application_name, ' ') FROM pg_stat_activity")
        return str(cursor.fetchone()[0])


def finding(name: str) -> str:
    return next(f.message for f in examine() if f.name == name)


class TestProgress:
    def test_the_rate_counts_the_time_it_ran(self) -> None:
        scan = TableScan(
            purpose=ScanPurpose.BACKFILL,
            total=1000,
            queued_count=300,
            time_spent=dt.timedelta(seconds=100),
        )
        progress = scans.progress(scan, waiting=100)
        assert (progress.done, progress.total, progress.rate) == (200, 1000, 2.0)
        assert progress.left == dt.timedelta(seconds=400)

    def test_before_the_first_posting_there_is_no_estimate(self) -> None:
        scan = TableScan(purpose=ScanPurpose.BACKFILL, total=1000, queued_count=300)
        assert scans.progress(scan, waiting=300) == scans.Progress(0, 1000, 0.0, None)

    def test_time_without_workers_is_left_out(self, encoder: Any, small: None) -> None:
        older(40)
        scan, _ = backfill.request(encoder)
        TableScan.objects.update(advanced_at="2026-01-01T00:00Z")
        scans.advance(encoder)
        scan.refresh_from_db()
        assert scan.time_spent == scans.LONGEST_GAP

    def test_doctor_and_admin_show_it(self, encoder: Any, small: None, admin_client: Any) -> None:
        older(40)
        scan, _ = backfill.request(encoder, total=40)
        advance_all()
        QueuedPosting.objects.all().delete()
        TableScan.objects.filter(pk=scan.pk).update(time_spent=dt.timedelta(seconds=2))
        assert finding("backfill") == "10 of 40 postings, 0:00:06 left at 5/s"
        page = reverse("admin:marketplace_ai_queuedposting_changelist")
        html = admin_client.get(page).content.decode()
        assert "10 of 40, 5 per second, 0:00:06 left" in html
        TableScan.objects.update(stopped_at=timezone.now(), is_estimated=True)
        assert "10 of about 40, stopped" in admin_client.get(page).content.decode()
