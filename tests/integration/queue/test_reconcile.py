"""Reconcile runs: they find the changes that triggers missed, and nothing else."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import DateField, Q
from django.db.models.functions import Now
from django.utils import timezone

from marketplace_ai.adapter import JobAdapter
from marketplace_ai.doctor.diagnose import examine
from marketplace_ai.encoders import active as encoders
from marketplace_ai.models import (
    Decision,
    JobPosting,
    PostingChange,
    PostingEmbedding,
    Priority,
    QueuedPosting,
    ScanPurpose,
    TableScan,
)
from marketplace_ai.queue import backfill, reconcile, scans
from marketplace_ai.serving.active_model import ModelLoader
from marketplace_ai.text.normalize import digest
from marketplace_ai.worker.loop import Worker
from tests.acceptance import workers
from tests.integration.command_calls import call
from tests.integration.databases import fresh_database
from tests.integration.worker_runs import drain

from .scan_helpers import active, advance_all, older, without_triggers

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def encoder(db: Any) -> Any:
    return encoders.ensure_active()[0]


def reconcile_all() -> set[Any]:
    """Make one whole run; returns the postings that it queued, and removes them from the queue."""
    reconcile.start_round(active())  # the very first call only stores the time
    runs = TableScan.objects.filter(purpose=ScanPurpose.RECONCILE)
    runs.update(requested_at="2026-01-01T00:00Z", finished_at=Now())
    assert reconcile.start_round(active())
    before = set(QueuedPosting.objects.values_list("pk", flat=True))
    advance_all()
    assert runs.get().finished_at is not None
    queued = QueuedPosting.objects.exclude(pk__in=before)
    keys = set(queued.values_list("posting_id", flat=True))
    assert set(queued.values_list("priority", flat=True)) <= {Priority.BACKFILL}
    queued.delete()
    return keys


def keys() -> set[Any]:
    return set(JobPosting.objects.values_list("pk", flat=True))


class TestMissedChanges:
    def test_rows_written_as_a_replica(self) -> None:
        JobPosting.objects.create(title="Male stue")
        drain()
        with without_triggers():
            missed = JobPosting.objects.create(title="Bytte kran")
        assert reconcile_all() == {missed.pk}

    def test_a_text_edited_as_a_replica(self) -> None:
        job = JobPosting.objects.create(title="Male stue")
        JobPosting.objects.create(title="Bytte kran")
        drain()
        assert reconcile_all() == set()
        with without_triggers():
            JobPosting.objects.filter(pk=job.pk).update(title="Klippe gress")
        assert reconcile_all() == {job.pk}

    def test_an_edit_of_an_older_posting_that_has_a_vector(self) -> None:
        (job,) = older(1)
        call("backfill_embeddings", vectors_only=True)
        drain()
        with without_triggers():
            JobPosting.objects.filter(pk=job.pk).update(title="Klippe gress")
        assert reconcile_all() == {job.pk}

    def test_a_table_that_was_truncated_and_reloaded(self) -> None:
        JobPosting.objects.create(title="Male stue")
        drain()
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("TRUNCATE marketplace_ai_jobposting CASCADE")
        assert not Decision.objects.exists()
        with without_triggers():
            JobPosting.objects.bulk_create([JobPosting(title=t) for t in ("Male", "Kran")])
        assert reconcile_all() == keys()

    def test_a_draft_published_as_a_replica(self, monkeypatch: Any) -> None:
        monkeypatch.setattr(JobAdapter, "eligible", lambda self, job: job.title != "draft")
        draft = JobPosting.objects.create(title="draft")
        drain()
        assert reconcile_all() == set()
        with without_triggers():
            JobPosting.objects.filter(pk=draft.pk).update(title="Male stue")
        assert reconcile_all() == {draft.pk}

    def test_missed_postings_are_decided(self) -> None:
        with without_triggers():
            JobPosting.objects.create(title="Bytte kran")
        reconcile.start_round(active())
        TableScan.objects.update(requested_at="2026-01-01T00:00Z")
        drain()
        assert Decision.objects.filter(is_current=True).count() == 1

    @pytest.mark.slow
    def test_a_row_written_directly_into_a_partition(self, tmp_path: Path) -> None:
        with fresh_database("partitions") as url:
            environment = workers.environment(url, reconcile_interval_hours=1e-6)
            django(tmp_path, environment, "migrate", "marketplace_ai", "0002")
            with psycopg.connect(url) as host:
                host.execute("ALTER TABLE marketplace_ai_jobposting RENAME TO plain")
                host.execute(
                    "CREATE TABLE marketplace_ai_jobposting (LIKE plain INCLUDING ALL) "
                    "PARTITION BY RANGE (id)"
                )
                host.execute("DROP TABLE plain CASCADE")
                host.execute(
                    "CREATE TABLE shard PARTITION OF marketplace_ai_jobposting "
                    "FOR VALUES FROM (0) TO (1000)"
                )
            django(tmp_path, environment, "migrate")
            with psycopg.connect(url, autocommit=True) as host:
                host.execute("INSERT INTO marketplace_ai_jobposting (id, title) VALUES (1, 'a')")
                logged = "SELECT count(*) FROM marketplace_ai_postingchange"
                assert host.execute(logged).fetchone() == (1,)
                host.execute("INSERT INTO shard (id, title) VALUES (2, 'b')")
                assert host.execute(logged).fetchone() == (1,)
                decided = (
                    "SELECT array_agg(posting_id ORDER BY posting_id) FROM marketplace_ai_decision"
                )
                with workers.queue_worker(tmp_path, environment) as worker:
                    worker.wait_for(
                        lambda: host.execute(decided).fetchone() == ([1, 2],), "it is not found"
                    )


def django(folder: Path, environment: dict[str, str], *arguments: str) -> None:
    with workers.running(["django", *arguments], folder, environment) as command:
        assert command.wait_for_end() == 0, command.text()


class TestIgnoredPostings:
    def test_older_postings_are_left_to_a_backfill(self) -> None:
        older(3)
        assert reconcile_all() == set()

    def test_older_postings_without_a_vector_after_a_whole_backfill_are_found(self) -> None:
        older(3)
        call("backfill_embeddings")
        drain()
        missed = older(2)
        assert reconcile_all() == {job.pk for job in missed}

    @pytest.mark.parametrize(
        "part", [{"since": "2000-01-01"}, {"limit": 9}, {"vectors_only": True}]
    )
    def test_a_partial_backfill_does_not_count_as_a_whole_one(self, part: Any) -> None:
        call("backfill_embeddings", **part)
        drain()
        assert TableScan.objects.filter(finished_at__isnull=False).exists()
        older(2)
        assert reconcile_all() == set()

    def test_vectors_without_decisions_were_requested(self) -> None:
        older(2)
        call("backfill_embeddings", vectors_only=True)
        drain()
        call("backfill_embeddings")
        assert reconcile_all() == set()

    def test_queued_and_failed_postings(self) -> None:
        with without_triggers():
            waiting, failed = (JobPosting.objects.create(title=t) for t in ("Male", "Kran"))
        backfill.queue([waiting.pk, failed.pk])
        QueuedPosting.objects.filter(posting=failed).update(failed_at=timezone.now())
        assert reconcile_all() == set()

    def test_a_bulk_update_that_renewed_only_the_vector(self) -> None:
        job = JobPosting.objects.create(title="Male stue")
        drain()
        with without_triggers():
            JobPosting.objects.filter(pk=job.pk).update(title="Male gang")
        PostingEmbedding.objects.update(text_digest=digest("Male gang"))
        assert reconcile_all() == set()

    def test_a_text_that_became_blank(self) -> None:
        job = JobPosting.objects.create(title="Male stue")
        drain()
        JobPosting.objects.filter(pk=job.pk).update(title="!")
        drain()
        assert reconcile_all() == set()

    def test_a_posting_that_its_adapter_fails_on_is_marked_failed_once(
        self, settings: Any, monkeypatch: Any
    ) -> None:
        settings.MARKETPLACE_AI_MAX_ATTEMPTS = 1
        with without_triggers():
            bad = JobPosting.objects.create(title="Male stue")
        monkeypatch.setattr(JobAdapter, "eligible", lambda self, job: job.nothing)
        reconcile.start_round(active())
        TableScan.objects.update(requested_at="2026-01-01T00:00Z")
        drain()
        assert QueuedPosting.objects.failed().get().posting_id == bad.pk
        assert reconcile_all() == set()


class TestSchedule:
    def test_a_run_starts_after_each_interval_and_not_at_first(self, settings: Any) -> None:
        assert not reconcile.start_round(active())
        scan = TableScan.objects.get()
        assert scan.finished_at is not None
        TableScan.objects.update(requested_at=timezone.now() - dt.timedelta(hours=23))
        assert not reconcile.start_round(active())
        TableScan.objects.update(requested_at=timezone.now() - dt.timedelta(hours=25))
        assert reconcile.start_round(active())
        assert not reconcile.start_round(active())
        advance_all()
        assert not reconcile.start_round(active())
        settings.MARKETPLACE_AI_RECONCILE_INTERVAL_HOURS = 0
        TableScan.objects.update(requested_at="2026-01-01T00:00Z")
        assert not reconcile.start_round(active())

    def test_it_takes_a_tenth_of_one_workers_time(self, monkeypatch: Any) -> None:
        monkeypatch.setattr(reconcile, "SCAN_STEP", 2)
        JobPosting.objects.bulk_create([JobPosting(title=str(n)) for n in range(5)])
        drain()
        reconcile.start_round(active())
        TableScan.objects.update(requested_at="2026-01-01T00:00Z", scheduled_at=Now())
        reconcile.start_round(active())
        monkeypatch.setattr(reconcile, "PAUSE_FACTOR", 1e6)
        assert scans.advance(active())
        assert not scans.advance(active())
        scan = TableScan.objects.get()
        assert scan.scheduled_at > scan.advanced_at
        assert "Looking for what was missed: 2 of about" in {
            f.name: f.message for f in examine()
        }.get("reconcile", "")
        assert advance_all() == 2

    def test_it_waits_for_capacity_in_the_queue(self, settings: Any, monkeypatch: Any) -> None:
        settings.MARKETPLACE_AI_CLAIM_SIZE = settings.MARKETPLACE_AI_BACKFILL_MAX_QUEUED_BATCHES = 1
        monkeypatch.setattr(reconcile, "SCAN_STEP", 2)
        with without_triggers():
            JobPosting.objects.bulk_create([JobPosting(title=str(n)) for n in range(6)])
        reconcile.start_round(active())
        TableScan.objects.update(requested_at="2026-01-01T00:00Z")
        reconcile.start_round(active())
        assert advance_all() == 1
        assert QueuedPosting.objects.count() == 2

    def test_it_goes_before_a_backfill(self) -> None:
        older(3)
        backfill.request(active())
        reconcile.start_round(active())
        runs = TableScan.objects.filter(purpose=ScanPurpose.RECONCILE)
        runs.update(requested_at="2026-01-01T00:00Z")
        reconcile.start_round(active())
        assert scans.advance(active())
        assert runs.get().finished_at is not None
        assert not QueuedPosting.objects.exists()


class TestRescans:
    """Log entries of triggers that could not name the changed posting."""

    def test_a_run_starts_at_once_and_deletes_them(self) -> None:
        job = JobPosting.objects.create(title="Male stue")
        drain()
        with without_triggers():
            JobPosting.objects.filter(pk=job.pk).update(title="Klippe gress")
            new = JobPosting.objects.create(title="Bytte kran")
        PostingChange.objects.create(kind="rescan", logged_at="2026-01-01T00:00Z")
        drain()
        assert not PostingChange.objects.exists()
        assert Decision.objects.filter(posting=job).count() == 2
        assert Decision.objects.filter(posting=new).count() == 1

    def test_one_logged_during_a_run_starts_another(self) -> None:
        PostingChange.objects.create(kind="rescan", logged_at="2026-01-01T00:00Z")
        assert reconcile.start_round(active())
        PostingChange.objects.create(kind="rescan", logged_at="2026-01-01T00:00Z")
        assert not reconcile.start_round(active())
        assert PostingChange.objects.count() == 1
        advance_all()
        assert reconcile.start_round(active())
        assert not PostingChange.objects.exists()

    def test_if_new_postings_cannot_be_recognized_a_backfill_comes_first(
        self, monkeypatch: Any
    ) -> None:
        monkeypatch.setattr(JobAdapter, "created_field", None)
        with without_triggers():
            job = JobPosting.objects.create(title="Male stue")
        PostingChange.objects.create(kind="rescan", logged_at="2026-01-01T00:00Z")
        drain()
        assert PostingChange.objects.count() == 1
        assert "backfill_embeddings" in next(f.cure for f in examine() if f.name == "rescan")
        call("backfill_embeddings", since=None)
        drain()
        assert not PostingChange.objects.exists()
        assert Decision.objects.get().posting_id == job.pk

    def test_a_trigger_that_really_fails(self) -> None:
        queue_worker = Worker(ModelLoader())
        with connection.cursor() as cursor:
            # The log rejects rows that name a posting.
            cursor.execute(
                "ALTER TABLE marketplace_ai_postingchange "
                "ADD CONSTRAINT broken CHECK (posting_id IS NULL)"
            )
            cursor.execute("INSERT INTO marketplace_ai_jobposting (title) VALUES ('Male')")
        assert PostingChange.objects.get().posting_id is None
        try:
            while queue_worker.run_once():
                pass
        finally:
            queue_worker.close()
        assert Decision.objects.get().posting.title == "Male"
        assert not PostingChange.objects.exists()


def test_with_a_date_field_the_day_of_the_installation_is_left_out(monkeypatch: Any) -> None:
    model = SimpleNamespace(_meta=SimpleNamespace(get_field=lambda name: DateField()))
    monkeypatch.setattr(reconcile, "get_job_model", lambda: model)
    migrations = MigrationRecorder.Migration.objects.filter(app="marketplace_ai")
    migrations.filter(name="0001_category").update(applied="2026-03-01T23:30Z")
    # In Oslo it was the next day already.
    assert reconcile._newer(JobAdapter()) == Q(created_at__gt=dt.date(2026, 3, 2))
