"""What is left of postings and categories that were deleted while no trigger fired."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now

from marketplace_ai.models import (
    Category,
    Decision,
    Exemplar,
    ExemplarState,
    JobPosting,
    Outcome,
    PostingEmbedding,
    ScanPurpose,
    TableScan,
)
from marketplace_ai.queue import reconcile, scans
from marketplace_ai.schema import strays
from tests.integration.queue.scan_helpers import active, without_triggers
from tests.integration.worker_runs import automatic, current, drain

pytestmark = pytest.mark.django_db


@pytest.fixture
def jobs(fitted: None, monkeypatch: Any) -> list[JobPosting]:
    """Decided ones, all in one category."""
    with monkeypatch.context() as patch:
        automatic(patch, Category.objects.get(slug="maling"), Outcome.AUTOMATIC)
        made = [JobPosting.objects.create(title=f"Male rom {n}") for n in range(5)]
        drain()
    return made


def reconcile_in_steps(monkeypatch: Any, step: int) -> None:
    """One whole run, a few postings at a time, by workers."""
    monkeypatch.setattr(reconcile, "SCAN_STEP", step)
    reconcile.start_round(active())
    TableScan.objects.filter(purpose=ScanPurpose.RECONCILE).update(
        requested_at="2026-01-01T00:00Z", finished_at=Now()
    )
    assert reconcile.start_round(active())
    while TableScan.objects.unfinished().exists():
        TableScan.objects.update(scheduled_at=Now())
        scans.advance(active(), strays.remove)


def posting_keys(model: Any) -> set[int]:
    return set(model.objects.exclude(posting=None).values_list("posting_id", flat=True))


@pytest.mark.parametrize("step", [1, 2, 100])
def test_rows_of_deleted_postings_go(jobs: list[JobPosting], monkeypatch: Any, step: int) -> None:
    Exemplar.objects.filter(pk=Exemplar.objects.earliest("pk").pk).update(posting=jobs[4])
    before = Exemplar.objects.count()
    gone = [jobs[0].pk, jobs[2].pk, jobs[4].pk]
    with without_triggers():
        JobPosting.objects.filter(pk__in=gone).delete()
    assert posting_keys(Decision) == {job.pk for job in jobs} | set(gone)
    reconcile_in_steps(monkeypatch, step)
    left = {jobs[1].pk, jobs[3].pk}
    assert posting_keys(Decision) == posting_keys(PostingEmbedding) == left
    assert Exemplar.objects.count() == before - 1


def test_a_deleted_category_is_followed(jobs: list[JobPosting], monkeypatch: Any) -> None:
    category = Category.objects.get(slug="maling")
    with without_triggers():
        JobPosting.objects.update(category=None)
        Category.objects.filter(pk=category.pk).delete()
    assert Exemplar.objects.filter(category=category.pk, state=ExemplarState.ACTIVE).exists()
    reconcile_in_steps(monkeypatch, 2)
    assert not Exemplar.objects.filter(category=category.pk).exists()
    assert Exemplar.objects.filter(state=ExemplarState.ORPHANED).exists()
    drain()
    assert "maling" not in {current(job).category_key for job in jobs}


def test_what_is_hidden_is_not_gone(jobs: list[JobPosting]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("CREATE ROLE of_workers; GRANT ALL ON SCHEMA public TO of_workers")
        cursor.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO of_workers")
        for table in ("jobposting", "category"):
            cursor.execute(f"ALTER TABLE marketplace_ai_{table} ENABLE ROW LEVEL SECURITY")
            cursor.execute("SET ROLE of_workers")
            assert strays.remove(None, None) == 0
            cursor.execute("RESET ROLE")
            cursor.execute(f"ALTER TABLE marketplace_ai_{table} DISABLE ROW LEVEL SECURITY")
    assert posting_keys(Decision) == {job.pk for job in jobs}


def test_a_worker_does_it(jobs: list[JobPosting], tmp_path: Path) -> None:
    with without_triggers():
        jobs[0].delete()
    reconcile.start_round(active())
    TableScan.objects.update(requested_at="2026-01-01T00:00Z", finished_at=Now())
    drain()
    assert posting_keys(Decision) == {job.pk for job in jobs[1:]}
