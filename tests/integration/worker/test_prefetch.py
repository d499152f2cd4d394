"""Prefetching: what a worker has in flight while one batch is encoded."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError

from marketplace_ai.models import Decision, JobPosting, Priority, QueuedPosting
from marketplace_ai.queue import intake
from marketplace_ai.queue.lease import Renewal
from marketplace_ai.serving.active_model import ActiveModel, ModelLoader
from marketplace_ai.worker import prefetch
from marketplace_ai.worker.loop import Worker
from tests.acceptance import ledger, workers
from tests.inline import Late

pytestmark = pytest.mark.django_db

BATCH = 5


def create(count: int) -> None:
    JobPosting.objects.bulk_create([JobPosting(title=f"Male rom {n}") for n in range(count)])
    intake.collect()


def claims() -> dict[Any, int]:
    """The number of claimed rows, by token."""
    tokens = QueuedPosting.objects.filter(token__isnull=False).values_list("token", flat=True)
    return {token: list(tokens).count(token) for token in tokens}


class LateWorker:
    """A worker whose encoder runs as late as it can: when the vectors are waited for."""

    def __init__(self, settings: Any) -> None:
        settings.MARKETPLACE_AI_CLAIM_SIZE = BATCH
        self.models = ModelLoader()
        self.models.refresh()
        self.queue_worker = Worker(self.models, executor=Late())
        #: Rows of each claim in flight, at each call of the encoder.
        self.in_flight: list[list[int]] = []
        self._encode = self.models.active.text_encoder.encode
        self.models.active.text_encoder.encode = self.encode
        self.meanwhile: Callable[[list[str]], None] = lambda texts: None

    def encode(self, texts: Any) -> Any:
        self.in_flight.append(sorted(claims().values()))
        self.meanwhile(list(texts))
        return self._encode(texts)


@pytest.fixture
def late_worker(db: None, settings: Any) -> Iterator[LateWorker]:
    worker = LateWorker(settings)
    yield worker
    worker.queue_worker.close()


def test_the_next_batch_is_claimed_while_one_is_encoded(late_worker: LateWorker) -> None:
    create(3 * BATCH)
    while late_worker.queue_worker.run_once():
        pass
    assert late_worker.in_flight == [[BATCH, BATCH], [BATCH, BATCH], [BATCH]]
    assert Decision.objects.count() == 3 * BATCH
    assert not QueuedPosting.objects.exists()


def test_a_stop_releases_the_prefetched_batch_uncounted(late_worker: LateWorker) -> None:
    create(3 * BATCH)
    late_worker.meanwhile = lambda texts: late_worker.queue_worker.stop()
    late_worker.queue_worker.run_once()
    assert late_worker.in_flight == [[BATCH, BATCH]]
    assert Decision.objects.count() == BATCH
    remaining = QueuedPosting.objects.values_list("token", "is_isolated", "attempts", "last_error")
    assert list(remaining) == [(None, False, 0, "")] * 2 * BATCH


def test_a_batch_that_is_being_encoded_is_written_at_the_end(late_worker: LateWorker) -> None:
    create(2 * BATCH)
    late_worker.queue_worker.run_once()
    assert sorted(claims().values()) == [BATCH]
    late_worker.queue_worker.close()
    assert Decision.objects.count() == 2 * BATCH


@pytest.mark.parametrize(
    ("max_isolated", "in_flight"),
    [(16, [[1], [1], [BATCH - 2, BATCH], [BATCH - 2]]), (1, [[1], [BATCH], [1], [BATCH - 2]])],
)
def test_nothing_is_prefetched_together_with_an_isolated_row(
    max_isolated: int, in_flight: list[list[int]], late_worker: LateWorker, monkeypatch: Any
) -> None:
    """If the process dies, only the isolated row loses an attempt. After some isolated rows comes
    an ordinary batch; nothing is prefetched while more isolated rows wait."""
    monkeypatch.setattr(prefetch, "MAX_ISOLATED_CLAIMS", max_isolated)
    create(2 * BATCH)
    isolated = QueuedPosting.objects.order_by("id")[:2].values("id")
    QueuedPosting.objects.filter(id__in=isolated).update(is_isolated=True)
    while late_worker.queue_worker.run_once():
        pass
    assert late_worker.in_flight == in_flight


def test_a_batch_that_fails_does_not_affect_the_prefetched_one(late_worker: LateWorker) -> None:
    create(2 * BATCH)

    def fail(texts: list[str]) -> None:
        if "Male rom 2" in texts:
            raise ValueError("cannot")

    late_worker.meanwhile = fail
    while late_worker.queue_worker.run_once():
        pass
    assert Decision.objects.count() == 2 * BATCH - 1
    assert QueuedPosting.objects.get().last_error == "ValueError: cannot"


def test_a_batch_whose_write_fails_does_not_affect_the_prefetched_one(
    late_worker: LateWorker, monkeypatch: Any
) -> None:
    create(2 * BATCH)
    finish, calls = ActiveModel.finish, []

    def fail_once(self: ActiveModel, batch: Any, vectors: Any) -> Any:
        calls.append(batch)
        if len(calls) == 1:
            raise ValueError("the host says no")
        return finish(self, batch, vectors)

    monkeypatch.setattr(ActiveModel, "finish", fail_once)
    late_worker.queue_worker.run_once()
    assert QueuedPosting.objects.filter(is_isolated=True, token=None).count() == BATCH
    assert sorted(claims().values()) == [BATCH]
    while late_worker.queue_worker.run_once():
        pass
    assert Decision.objects.count() == 2 * BATCH


def encode_backfill_and_fresh_posting(late_worker: LateWorker, backfill: int) -> list[list[str]]:
    """Encode a backfill, and create a posting during its first batch; returns the texts of each
    batch in encoding order."""
    create(backfill)
    QueuedPosting.objects.update(priority=Priority.BACKFILL)
    order: list[list[str]] = []

    def record(texts: list[str]) -> None:
        order.append(texts)
        if len(order) == 1:
            JobPosting.objects.create(title="Ny og frisk")

    late_worker.meanwhile = record
    while late_worker.queue_worker.run_once():
        pass
    return order


def test_a_fresh_posting_goes_before_a_prefetched_batch_of_a_backfill(
    late_worker: LateWorker,
) -> None:
    order = encode_backfill_and_fresh_posting(late_worker, 3 * BATCH)
    assert ["Ny og frisk" in texts for texts in order] == [False, True, False, False]
    assert Decision.objects.count() == 3 * BATCH + 1


@pytest.fixture
def narrow(late_worker: LateWorker) -> LateWorker:
    """The encoder takes three short texts at once, so a claim is split into two batches."""
    late_worker.models.active.text_encoder.tokens_at_once = 3 * 8
    return late_worker


def test_a_claim_is_processed_in_batches_of_the_encoders_size(narrow: LateWorker) -> None:
    create(2 * BATCH)
    sizes: list[int] = []
    narrow.meanwhile = lambda texts: sizes.append(len(texts))
    while narrow.queue_worker.run_once():
        pass
    assert sizes == [3, 2, 3, 2]
    # Written rows have left the claim; the next claim comes during the last batch of this one.
    assert narrow.in_flight == [[5], [2, 5], [5], [2]]
    assert Decision.objects.count() == 2 * BATCH
    assert not QueuedPosting.objects.exists()


def test_a_fresh_posting_goes_before_the_rest_of_a_backfill_claim(
    narrow: LateWorker,
) -> None:
    order = encode_backfill_and_fresh_posting(narrow, BATCH)
    assert [len(texts) for texts in order] == [3, 1, 2]
    assert order[1] == ["Ny og frisk"]
    assert narrow.in_flight[1] == [1, 2], "the rest of the claim was released"
    assert Decision.objects.count() == BATCH + 1


def test_many_fresh_postings_release_the_claim_of_a_backfill(narrow: LateWorker) -> None:
    create(BATCH)
    QueuedPosting.objects.update(priority=Priority.BACKFILL)

    def flood(texts: list[str]) -> None:
        if len(narrow.in_flight) == 1:
            JobPosting.objects.bulk_create([JobPosting(title=f"Ny {n}") for n in range(BATCH)])

    narrow.meanwhile = flood
    narrow.queue_worker.run_once()
    waiting = QueuedPosting.objects.filter(priority=Priority.BACKFILL)
    assert [row.token for row in waiting] == [None, None]
    while narrow.queue_worker.run_once():
        pass
    assert Decision.objects.count() == 2 * BATCH


@pytest.mark.django_db(transaction=True)
def test_a_failure_between_two_iterations_releases_all_uncounted(
    settings: Any, monkeypatch: Any
) -> None:
    """As when the connection that holds the liveness lock is lost."""
    settings.MARKETPLACE_AI_CLAIM_SIZE = BATCH
    create(3 * BATCH)
    queue_worker = Worker(ModelLoader())
    acquire, num_claims = queue_worker.liveness.acquire, []

    def lose() -> int:
        num_claims.append(len(claims()))
        if len(num_claims) == 2:
            queue_worker.stop()
            raise OperationalError("the connection is lost")
        return acquire()

    monkeypatch.setattr(queue_worker.liveness, "acquire", lose)
    queue_worker.run()
    assert num_claims == [0, 1]
    remaining = QueuedPosting.objects.values_list("token", "is_isolated", "attempts")
    assert list(remaining) == [(None, False, 0)] * 2 * BATCH


def test_closing_writes_what_is_encoded_and_releases_the_rest(narrow: LateWorker) -> None:
    create(2 * BATCH)
    narrow.queue_worker.run_once()
    narrow.queue_worker.close()
    assert Decision.objects.count() == BATCH
    remaining = QueuedPosting.objects.values_list("token", "is_isolated", "attempts")
    assert list(remaining) == [(None, False, 0)] * BATCH


def test_only_the_time_in_the_encoder_counts_as_hanging(settings: Any) -> None:
    settings.MARKETPLACE_AI_LEASE_SECONDS = 0.03
    settings.MARKETPLACE_AI_ENCODE_TIMEOUT = 0
    ended = threading.Event()
    renewal = Renewal(uuid.uuid4(), expire=ended.set)
    renewal.start()
    try:
        renewal.start_timer()
        renewal.stop_timer()
        ended.clear()
        assert not ended.wait(0.3), "a claim that waits counts as hung"
        renewal.start_timer()
        assert ended.wait(60)
    finally:
        renewal.stop()


def test_a_batch_read_for_the_former_encoder_is_encoded_by_the_new_one(
    late_worker: LateWorker, settings: Any
) -> None:
    from marketplace_ai.encoders import active
    from marketplace_ai.models import Encoder, EncoderState

    create(2 * BATCH)

    def switch(texts: list[str]) -> None:
        if len(late_worker.in_flight) == 1:
            settings.MARKETPLACE_AI_ENCODER = "dummy:32"
            Encoder.objects.update(state=EncoderState.READY)
            active.ensure_active()

    late_worker.meanwhile = switch
    while late_worker.queue_worker.run_once():
        pass
    assert set(Decision.objects.values_list("encoder__source", flat=True)) == {"dummy:32"}
    assert Decision.objects.count() == 2 * BATCH


@pytest.mark.django_db(transaction=True)
def test_a_database_error_releases_both_batches_uncounted(settings: Any, monkeypatch: Any) -> None:
    settings.MARKETPLACE_AI_CLAIM_SIZE = BATCH
    create(3 * BATCH)
    queue_worker = Worker(ModelLoader())

    def fail(self: ActiveModel, batch: Any, vectors: Any) -> Any:
        raise OperationalError("the connection is lost")

    try:
        with monkeypatch.context() as patch, pytest.raises(OperationalError):
            patch.setattr(ActiveModel, "finish", fail)
            queue_worker.run_once()
        remaining = QueuedPosting.objects.values_list("token", "is_isolated", "attempts")
        assert list(remaining) == [(None, False, 0)] * 3 * BATCH
        QueuedPosting.objects.update(scheduled_at="2026-01-01T00:00Z")
        while queue_worker.run_once():
            pass
        assert Decision.objects.count() == 3 * BATCH
    finally:
        queue_worker.close()


def wait_for_two_claims(worker: workers.Processes) -> None:
    worker.wait_for(lambda: len(claims()) == 2, "it does not prefetch")


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
def test_a_worker_killed_with_two_batches_in_flight_loses_no_posting(tmp_path: Path) -> None:
    url = workers.database()
    create(60)
    environment = workers.environment(url, claim_size=20, lease_seconds=3600, FAULTS_SECONDS=0.06)
    with workers.queue_worker(tmp_path, environment) as victim:
        victim.wait_for_batch()
        wait_for_two_claims(victim)
        victim.kill()
        victim.end()
    assert sum(claims().values()) == 40
    environment["FAULTS_SECONDS"] = "0"
    with workers.queue_worker(tmp_path / "other", environment) as other:
        other.wait_for(lambda: ledger.queue(url).settled, "they are not taken over")
    ledger.assert_exactly_once(url, 60)


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
def test_both_leases_are_renewed_and_a_stop_writes_only_the_batch_in_the_encoder(
    tmp_path: Path,
) -> None:
    create(60)
    environment = workers.environment(
        workers.database(), claim_size=20, lease_seconds=2, FAULTS_SECONDS=0.4
    )

    def leases() -> dict[Any, Any]:
        claimed = QueuedPosting.objects.filter(token__isnull=False)
        return dict(claimed.values_list("token", "lease_expires_at").distinct())

    with workers.queue_worker(tmp_path, environment) as worker:
        worker.wait_for_batch()
        wait_for_two_claims(worker)
        before = leases()
        worker.wait_for(
            lambda: all(leases().get(token, until) > until for token, until in before.items()),
            "a lease is not renewed",
        )
        assert leases().keys() == before.keys()
        worker.process.terminate()
        worker.wait_for_end()
    assert Decision.objects.count() == 20
    remaining = QueuedPosting.objects.values_list("token", "is_isolated", "attempts")
    assert list(remaining) == [(None, False, 0)] * 40
