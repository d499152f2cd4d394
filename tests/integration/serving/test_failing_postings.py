"""A posting that cannot be encoded or written fails alone, and delays no other."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from django.db import connection, connections

from marketplace_ai.encoding import EncoderError
from marketplace_ai.models import (
    Category,
    Decision,
    JobPosting,
    Outcome,
    QueuedPosting,
)
from marketplace_ai.serving.active_model import ModelLoader
from marketplace_ai.worker.loop import Worker
from tests.inline import Inline
from tests.integration.worker_runs import automatic, current, drain

pytestmark = pytest.mark.django_db


def test_only_the_text_that_cannot_be_encoded_is_marked_failed(fitted: None, settings: Any) -> None:
    settings.MARKETPLACE_AI_MAX_ATTEMPTS = 1
    jobs = [JobPosting(title=f"Male rom {n}") for n in range(20)]
    jobs[7].title = "POISON"
    JobPosting.objects.bulk_create(jobs)
    models = ModelLoader()
    models.refresh()
    encode = models.active.text_encoder.encode

    def choke(texts: Any) -> Any:
        if any("POISON" in text for text in texts):
            raise ValueError("cannot")
        return encode(texts)

    models.active.text_encoder.encode = choke
    drain(models)
    assert Decision.objects.filter(is_current=True).count() == 19
    row = QueuedPosting.objects.get()
    assert row.posting.title == "POISON"
    assert row.failed_at is not None
    assert row.last_error == "ValueError: cannot"


def test_only_the_posting_whose_write_fails_is_marked_failed(
    fitted: None, settings: Any, monkeypatch: Any
) -> None:
    """An adapter of the project may fail on one posting; the others must get their category."""
    from marketplace_ai.adapter import JobAdapter

    settings.MARKETPLACE_AI_MAX_ATTEMPTS = 1
    JobPosting.objects.bulk_create([JobPosting(title=f"Male rom {n}") for n in range(5)])
    bad = JobPosting.objects.get(title="Male rom 3")
    automatic(monkeypatch, Category.objects.get(slug="maling"), Outcome.AUTOMATIC)
    original = JobAdapter.apply_categories

    def apply(self: JobAdapter, categories: Any, *, by: str) -> None:
        if bad.pk in categories:
            raise RuntimeError("the host says no")
        original(self, categories, by=by)

    monkeypatch.setattr(JobAdapter, "apply_categories", apply)
    drain()
    assert Decision.objects.filter(is_current=True).count() == 4
    assert QueuedPosting.objects.get().posting_id == bad.pk


def test_a_posting_whose_text_differs_at_each_call_is_marked_failed(
    fitted: None, posting: JobPosting, monkeypatch: Any, settings: Any
) -> None:
    from marketplace_ai.adapter import JobAdapter
    from marketplace_ai.queue.write import UNSTABLE_TEXT

    settings.MARKETPLACE_AI_MAX_ATTEMPTS = 1
    numbers = itertools.count()
    monkeypatch.setattr(JobAdapter, "clean", lambda self, text: f"{text} {next(numbers)}")
    drain()
    assert QueuedPosting.objects.get().last_error == UNSTABLE_TEXT


def test_a_text_that_breaks_the_encoder_is_isolated(fitted: None, settings: Any) -> None:
    """As with a device error: after it every text fails until the process is restarted."""
    settings.MARKETPLACE_AI_MAX_ATTEMPTS = 2
    JobPosting.objects.bulk_create(
        [JobPosting(title=t) for t in ("Male stue", "BREAK", "Male tak")]
    )
    for _ in range(8):
        models, broken = ModelLoader(), []
        models.refresh()
        encode = models.active.text_encoder.encode

        def fragile(texts: Any, encode: Any = encode, broken: Any = broken) -> Any:
            if broken or any("BREAK" in text for text in texts):
                broken.append(True)
                raise RuntimeError("device-side assert")
            return encode(texts)

        models.active.text_encoder.encode = fragile
        QueuedPosting.objects.update(scheduled_at="2026-01-01T00:00Z")
        try:
            drain(models)
        except EncoderError:
            continue
    assert set(Decision.objects.values_list("posting__title", flat=True)) == {
        "Male stue",
        "Male tak",
    }
    assert QueuedPosting.objects.get().posting.title == "BREAK"
    assert QueuedPosting.objects.get().failed_at is not None


@pytest.mark.django_db(transaction=True)
def test_a_posting_that_is_being_deleted_delays_no_other(posting: JobPosting) -> None:
    other = JobPosting.objects.create(title="Bytte kran")
    models = ModelLoader()
    models.refresh()
    host = connections["default"].copy()
    encode = models.active.text_encoder.encode

    def delete_meanwhile(texts: Any) -> Any:
        with host.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("DELETE FROM marketplace_ai_jobposting WHERE id = %s", [posting.pk])
        return encode(texts)

    models.active.text_encoder.encode = delete_meanwhile
    queue_worker = Worker(models, executor=Inline())
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '2s'")
        queue_worker.run_once()
        assert current(other).posting_id == other.pk
        assert QueuedPosting.objects.get().posting_id == posting.pk
    finally:
        queue_worker.close()
        host.close()


@pytest.mark.django_db(transaction=True)
def test_transactions_that_delete_postings_do_not_wait_for_each_other() -> None:
    first, second = (JobPosting.objects.create(title=t) for t in "ab")
    host = connections["default"].copy()
    try:
        with host.cursor() as one, connection.cursor() as two:
            one.execute("BEGIN")
            one.execute("DELETE FROM marketplace_ai_jobposting WHERE id = %s", [first.pk])
            two.execute("SET lock_timeout = '2s'")
            two.execute("DELETE FROM marketplace_ai_jobposting WHERE id = %s", [second.pk])
    finally:
        host.close()
