"""What the triggers missed is found by a slow round over all postings, and nothing else is."""

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

from .scan_helpers import active, go_on, older, unseen

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def encoder(db: Any) -> Any:
    return encoders.ensure_active()[0]


def search() -> set[Any]:
    """A whole round; the postings that it queued, which are then forgotten."""
    reconcile.start_round(active())  # the first call of all only notes the time
    searches = TableScan.objects.filter(purpose=ScanPurpose.RECONCILE)
    searches.update(requested_at="2026-01-01T00:00Z", finished_at=Now())
    assert reconcile.start_round(active())
    before = set(QueuedPosting.objects.values_list("pk", flat=True))
    go_on()
    assert searches.get().finished_at is not None
    found = QueuedPosting.objects.exclude(pk__in=before)
    keys = set(found.values_list("posting_id", flat=True))
    assert set(found.values_list("priority", flat=True)) <= {Priority.BACKFILL}
    found.delete()
    return keys


def keys() -> set[Any]:
    return set(JobPosting.objects.values_list("pk", flat=True))


class TestWhatTriggersMiss:
    def test_rows_that_a_replica_writes(self) -> None:
        JobPosting.objects.create(title="Male stue")
        drain()
        with unseen():
            missed = JobPosting.objects.create(title="Bytte kran")
        assert search() == {missed.pk}

    def test_a_text_that_a_replica_edits(self) -> None:
        job = JobPosting.objects.create(title="Male stue")
        JobPosting.objects.create(title="Bytte kran")
        drain()
        assert search() == set()
        with unseen():
            JobPosting.objects.filter(pk=job.pk).update(title="Klippe gress")
        assert search() == {job.pk}

    def test_an_edit_of_an_older_posting_that_has_a_vector(self) -> None:
        (job,) = older(1)
        call("backfill_embeddings", vectors_only=True)
        drain()
        with unseen():
            JobPosting.objects.filter(pk=job.pk).update(title="Klippe gress")
        assert search() == {job.pk}

    def test_a_table_that_was_emptied_and_loaded_anew(self) -> None:
        JobPosting.objects.create(title="Male stue")
        drain()
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("TRUNCATE marketplace_ai_jobposting CASCADE")
        assert not Decision.objects.exists()
        with unseen():
            JobPosting.objects.bulk_create([JobPosting(title=t) for t in ("Male", "Kran")])
        assert search() == keys()

    def test_a_draft_that_a_replica_published(self, monkeypatch: Any) -> None:
        monkeypatch.setattr(JobAdapter, "eligible", lambda self, job: job.title != "draft")
        draft = JobPosting.objects.create(title="draft")
        drain()
        assert search() == set()
        with unseen():
            JobPosting.objects.filter(pk=draft.pk).update(title="Male stue")
        assert search() == {draft.pk}

    def test_found_ones_are_decided(self) -> None:
        with unseen():
            JobPosting.objects.create(title="Bytte kran")
        reconcile.start_round(active())
        TableScan.objects.update(requested_at="2026-01-01T00:00Z")
        drain()
        assert Decision.objects.filter(is_current=True).count() == 1

    def test_a_row_written_straight_into_a_partition(self, tmp_path: Path) -> None:
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
                seen = "SELECT count(*) FROM marketplace_ai_postingchange"
                assert host.execute(seen).fetchone() == (1,)
                host.execute("INSERT INTO shard (id, title) VALUES (2, 'b')")
                assert host.execute(seen).fetchone() == (1,)
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


class TestWhatIsLeftAlone:
    def test_older_postings_are_a_backfills(self) -> None:
        older(3)
        assert search() == set()

    def test_after_a_whole_backfill_none_should_lack_a_vector(self) -> None:
        older(3)
        call("backfill_embeddings")
        drain()
        late = older(2)
        assert search() == {job.pk for job in late}

    @pytest.mark.parametrize(
        "part", [{"since": "2000-01-01"}, {"limit": 9}, {"vectors_only": True}]
    )
    def test_a_part_of_a_backfill_says_nothing_about_the_rest(self, part: Any) -> None:
        call("backfill_embeddings", **part)
        drain()
        assert TableScan.objects.filter(finished_at__isnull=False).exists()
        older(2)
        assert search() == set()

    def test_vectors_without_decisions_were_asked_for(self) -> None:
        older(2)
        call("backfill_embeddings", vectors_only=True)
        drain()
        call("backfill_embeddings")
        assert search() == set()

    def test_what_is_queued_or_set_aside(self) -> None:
        with unseen():
            waiting, aside = (JobPosting.objects.create(title=t) for t in ("Male", "Kran"))
        backfill.queue([waiting.pk, aside.pk])
        QueuedPosting.objects.filter(posting=aside).update(failed_at=timezone.now())
        assert search() == set()

    def test_a_mass_edit_renewed_the_vector_alone(self) -> None:
        job = JobPosting.objects.create(title="Male stue")
        drain()
        with unseen():
            JobPosting.objects.filter(pk=job.pk).update(title="Male gang")
        PostingEmbedding.objects.update(text_digest=digest("Male gang"))
        assert search() == set()

    def test_a_text_that_became_blank(self) -> None:
        job = JobPosting.objects.create(title="Male stue")
        drain()
        JobPosting.objects.filter(pk=job.pk).update(title="!")
        drain()
        assert search() == set()

    def test_a_posting_that_its_adapter_fails_on_is_set_aside_once(
        self, settings: Any, monkeypatch: Any
    ) -> None:
        settings.MARKETPLACE_AI_MAX_ATTEMPTS = 1
        with unseen():
            bad = JobPosting.objects.create(title="Male stue")
        monkeypatch.setattr(JobAdapter, "eligible", lambda self, job: job.nothing)
        reconcile.start_round(active())
        TableScan.objects.update(requested_at="2026-01-01T00:00Z")
        drain()
        assert QueuedPosting.objects.failed().get().posting_id == bad.pk
        assert search() == set()


class TestRounds:
    def test_the_first_comes_after_an_interval_and_then_each(self, settings: Any) -> None:
        assert not reconcile.start_round(active())
        scan = TableScan.objects.get()
        assert scan.finished_at is not None
        TableScan.objects.update(requested_at=timezone.now() - dt.timedelta(hours=23))
        assert not reconcile.start_round(active())
        TableScan.objects.update(requested_at=timezone.now() - dt.timedelta(hours=25))
        assert reconcile.start_round(active())
        assert not reconcile.start_round(active())
        go_on()
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
        assert go_on() == 2

    def test_it_waits_for_room_in_the_queue(self, settings: Any, monkeypatch: Any) -> None:
        settings.MARKETPLACE_AI_CLAIM_SIZE = settings.MARKETPLACE_AI_BACKFILL_MAX_QUEUED_BATCHES = 1
        monkeypatch.setattr(reconcile, "SCAN_STEP", 2)
        with unseen():
            JobPosting.objects.bulk_create([JobPosting(title=str(n)) for n in range(6)])
        reconcile.start_round(active())
        TableScan.objects.update(requested_at="2026-01-01T00:00Z")
        reconcile.start_round(active())
        assert go_on() == 1
        assert QueuedPosting.objects.count() == 2

    def test_it_goes_before_a_backfill(self) -> None:
        older(3)
        backfill.request(active())
        reconcile.start_round(active())
        searches = TableScan.objects.filter(purpose=ScanPurpose.RECONCILE)
        searches.update(requested_at="2026-01-01T00:00Z")
        reconcile.start_round(active())
        assert scans.advance(active())
        assert searches.get().finished_at is not None
        assert not QueuedPosting.objects.exists()


class TestRescans:
    """A trigger that failed could only say that something changed."""

    def test_a_round_begins_at_once_and_takes_them_over(self) -> None:
        job = JobPosting.objects.create(title="Male stue")
        drain()
        with unseen():
            JobPosting.objects.filter(pk=job.pk).update(title="Klippe gress")
            new = JobPosting.objects.create(title="Bytte kran")
        PostingChange.objects.create(kind="rescan", logged_at="2026-01-01T00:00Z")
        drain()
        assert not PostingChange.objects.exists()
        assert Decision.objects.filter(posting=job).count() == 2
        assert Decision.objects.filter(posting=new).count() == 1

    def test_one_that_comes_during_a_round_begins_another(self) -> None:
        PostingChange.objects.create(kind="rescan", logged_at="2026-01-01T00:00Z")
        assert reconcile.start_round(active())
        PostingChange.objects.create(kind="rescan", logged_at="2026-01-01T00:00Z")
        assert not reconcile.start_round(active())
        assert PostingChange.objects.count() == 1
        go_on()
        assert reconcile.start_round(active())
        assert not PostingChange.objects.exists()

    def test_where_new_postings_cannot_be_told_a_backfill_comes_first(
        self, monkeypatch: Any
    ) -> None:
        monkeypatch.setattr(JobAdapter, "created_field", None)
        with unseen():
            job = JobPosting.objects.create(title="Male stue")
        PostingChange.objects.create(kind="rescan", logged_at="2026-01-01T00:00Z")
        drain()
        assert PostingChange.objects.count() == 1
        assert "backfill_embeddings" in next(f.cure for f in examine() if f.name == "rescan")
        call("backfill_embeddings", since=None)
        drain()
        assert not PostingChange.objects.exists()
        assert Decision.objects.get().posting_id == job.pk

    def test_a_trigger_that_fails_in_earnest(self) -> None:
        queue_worker = Worker(ModelLoader())
        with connection.cursor() as cursor:
            # Its log takes no row that names a posting.
            cursor.execute(
                "ALTER TABLE marketplace_ai_postingchange ADD CONSTRAINT broken CHECK (posting_id IS NULL)"
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


def test_where_a_host_notes_days_that_of_the_installation_is_left_out(monkeypatch: Any) -> None:
    model = SimpleNamespace(_meta=SimpleNamespace(get_field=lambda name: DateField()))
    monkeypatch.setattr(reconcile, "get_job_model", lambda: model)
    migrations = MigrationRecorder.Migration.objects.filter(app="marketplace_ai")
    migrations.filter(name="0001_category").update(applied="2026-03-01T23:30Z")
    # In Oslo it was the next day already.
    assert reconcile._newer(JobAdapter()) == Q(created_at__gt=dt.date(2026, 3, 2))
