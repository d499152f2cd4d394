"""Nothing waits for the end of what only a person can end."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import ProgrammingError
from django.utils import timezone

from marketplace_ai.models import Decision, JobPosting, PostingChange, Priority, QueuedPosting
from marketplace_ai.serving.active_model import ModelLoader
from marketplace_ai.worker.loop import Worker
from tests.faults.postings import titles
from tests.faults.test_error_kinds import refused
from tests.inline import Inline
from tests.integration.worker_runs import drain, idle_worker

pytestmark = pytest.mark.django_db(transaction=True)

DENIED = "42501"


def draining(models: ModelLoader, pauses: int = 200) -> Worker:
    """A worker that drains, whose pauses are over at once; after too many the test fails."""
    worker = Worker(models, executor=Inline())
    left = [pauses]

    def wait(seconds: float, how: Any) -> None:
        left[0] -= 1
        assert left[0], "it does not end"

    worker._wait = wait  # type: ignore[method-assign]
    return worker


def test_a_drain_ends_with_what_the_set_up_stops() -> None:
    models = ModelLoader()
    drain(models)
    jobs = [JobPosting.objects.create(title=text) for text in titles(0, 9)]
    worker = draining(models)
    with refused("decision", jobs[4].pk, DENIED):
        worker.run(until_empty=True)
    assert Decision.objects.count() == len(jobs) - 1
    (sentence,) = worker.unfinished()
    assert sentence.startswith("1 posting waits, uncounted, after: ")
    assert "Grant the workers' database role" in sentence


def test_what_was_stopped_before_is_tried_once_more() -> None:
    """It waits for the retry that the last worker scheduled: the fault may be mended since."""
    models = ModelLoader()
    drain(models)
    job = JobPosting.objects.create(title="Male bod")
    PostingChange.objects.all()._raw_delete("default")
    postpone(job, Priority.FRESH, retry=1.0)
    worker = draining(models, pauses=1_000_000)
    worker.run(until_empty=True)
    assert not worker.unfinished()
    assert Decision.objects.get().posting_id == job.pk


def test_an_earlier_failure_does_not_hide_that_a_row_is_postponed() -> None:
    models = ModelLoader()
    drain(models)
    job = JobPosting.objects.create(title="Male bod")
    PostingChange.objects.all()._raw_delete("default")
    postpone(job, Priority.FRESH, retry=0.0)
    QueuedPosting.objects.update(attempts=1)
    worker = draining(models)
    with refused("decision", job.pk, DENIED):
        worker.run(until_empty=True)
    assert worker.unfinished()


def test_a_drain_ends_where_the_set_up_stops_everything() -> None:
    models = ModelLoader()
    drain(models)
    for text in titles(0, 9):
        JobPosting.objects.create(title=text)
    with refused("decision", None, DENIED), pytest.raises(ProgrammingError):
        draining(models).run(until_empty=True)


def test_waiting_for_a_backfill_ends_with_what_the_set_up_stops() -> None:
    drain(ModelLoader())
    job = JobPosting.objects.create(title="Male bod")
    postpone(job, Priority.BACKFILL, retry=3600.0)
    with idle_worker(), pytest.raises(CommandError, match="no right Fix that"):
        call_command("backfill_embeddings", "--wait", "--json")


def postpone(job: JobPosting, priority: Priority, *, retry: float) -> None:
    """As the last worker left it: to be tried again in ``retry`` seconds."""
    QueuedPosting.objects.create(
        posting=job, priority=priority, is_isolated=True, last_error="no right",
        queued_at=timezone.now(), scheduled_at=timezone.now() + dt.timedelta(seconds=retry),
    )  # fmt: skip
