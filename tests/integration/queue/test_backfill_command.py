"""The backfill command, and what it says of its progress."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from marketplace_ai.doctor.diagnose import examine
from marketplace_ai.models import (
    Decision,
    PostingEmbedding,
    QueuedPosting,
    ScanPurpose,
    TableScan,
)
from marketplace_ai.queue import backfill, scans
from tests.acceptance import workers
from tests.integration.command_calls import call, call_json, failed
from tests.integration.worker_runs import drain, idle_worker

from .scan_helpers import advance_all, older, queued

pytestmark = pytest.mark.django_db


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
