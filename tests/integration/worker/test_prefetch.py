"""One batch ahead: what is in a worker's hands beside the batch that is encoded."""

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
    """Rows in hand by their token."""
    tokens = QueuedPosting.objects.filter(token__isnull=False).values_list("token", flat=True)
    return {token: list(tokens).count(token) for token in tokens}


class World:
    """A worker whose encoder works as late as it can: when its vectors are waited for."""

    def __init__(self, settings: Any) -> None:
        settings.MARKETPLACE_AI_CLAIM_SIZE = BATCH
        self.models = ModelLoader()
        self.models.refresh()
        self.queue_worker = Worker(self.models, executor=Late())
        #: What is in hand at each call of the encoder.
        self.seen: list[list[int]] = []
        self._encode = self.models.active.text_encoder.encode
        self.models.active.text_encoder.encode = self.encode
        self.meanwhile: Callable[[list[str]], None] = lambda texts: None

    def encode(self, texts: Any) -> Any:
        self.seen.append(sorted(claims().values()))
        self.meanwhile(list(texts))
        return self._encode(texts)


@pytest.fixture
def world(db: None, settings: Any) -> Iterator[World]:
    made = World(settings)
    yield made
    made.queue_worker.close()


def test_the_next_batch_is_in_hand_while_one_is_encoded(world: World) -> None:
    create(3 * BATCH)
    while world.queue_worker.run_once():
        pass
    assert world.seen == [[BATCH, BATCH], [BATCH, BATCH], [BATCH]]
    assert Decision.objects.count() == 3 * BATCH
    assert not QueuedPosting.objects.exists()


def test_a_stop_gives_the_batch_ahead_back_uncounted(world: World) -> None:
    create(3 * BATCH)
    world.meanwhile = lambda texts: world.queue_worker.stop()
    world.queue_worker.run_once()
    assert world.seen == [[BATCH, BATCH]]
    assert Decision.objects.count() == BATCH
    left = QueuedPosting.objects.values_list("token", "is_isolated", "attempts", "last_error")
    assert list(left) == [(None, False, 0, "")] * 2 * BATCH


def test_a_batch_that_is_being_encoded_is_written_at_the_end(world: World) -> None:
    create(2 * BATCH)
    world.queue_worker.run_once()
    assert sorted(claims().values()) == [BATCH]
    world.queue_worker.close()
    assert Decision.objects.count() == 2 * BATCH


@pytest.mark.parametrize(
    ("in_a_row", "seen"),
    [(16, [[1], [1], [BATCH - 2, BATCH], [BATCH - 2]]), (1, [[1], [BATCH], [1], [BATCH - 2]])],
)
def test_nothing_is_taken_up_beside_a_row_that_is_tried_alone(
    in_a_row: int, seen: list[list[int]], world: World, monkeypatch: Any
) -> None:
    """Should the process die of it, that row alone has lost an attempt. Some are tried in a row,
    then an ordinary batch comes, which has nothing ahead while more of them wait."""
    monkeypatch.setattr(prefetch, "MAX_ISOLATED_CLAIMS", in_a_row)
    create(2 * BATCH)
    lonely = QueuedPosting.objects.order_by("id")[:2].values("id")
    QueuedPosting.objects.filter(id__in=lonely).update(is_isolated=True)
    while world.queue_worker.run_once():
        pass
    assert world.seen == seen


def test_a_batch_that_fails_leaves_the_one_ahead_alone(world: World) -> None:
    create(2 * BATCH)

    def fail(texts: list[str]) -> None:
        if "Male rom 2" in texts:
            raise ValueError("cannot")

    world.meanwhile = fail
    while world.queue_worker.run_once():
        pass
    assert Decision.objects.count() == 2 * BATCH - 1
    assert QueuedPosting.objects.get().last_error == "ValueError: cannot"


def test_a_batch_whose_write_fails_leaves_the_one_ahead_alone(
    world: World, monkeypatch: Any
) -> None:
    create(2 * BATCH)
    finish, calls = ActiveModel.finish, []

    def fail_once(self: ActiveModel, batch: Any, vectors: Any) -> Any:
        calls.append(batch)
        if len(calls) == 1:
            raise ValueError("the host says no")
        return finish(self, batch, vectors)

    monkeypatch.setattr(ActiveModel, "finish", fail_once)
    world.queue_worker.run_once()
    assert QueuedPosting.objects.filter(is_isolated=True, token=None).count() == BATCH
    assert sorted(claims().values()) == [BATCH]
    while world.queue_worker.run_once():
        pass
    assert Decision.objects.count() == 2 * BATCH


def encoded_beside_a_fresh_one(world: World, backfill: int) -> list[list[str]]:
    """Batches in the order they are encoded, of a backfill during whose first batch a posting
    is created."""
    create(backfill)
    QueuedPosting.objects.update(priority=Priority.BACKFILL)
    order: list[list[str]] = []

    def remember(texts: list[str]) -> None:
        order.append(texts)
        if len(order) == 1:
            JobPosting.objects.create(title="Ny og frisk")

    world.meanwhile = remember
    while world.queue_worker.run_once():
        pass
    return order


def test_what_is_created_meanwhile_goes_before_a_backfill_that_was_claimed_ahead(
    world: World,
) -> None:
    order = encoded_beside_a_fresh_one(world, 3 * BATCH)
    assert ["Ny og frisk" in texts for texts in order] == [False, True, False, False]
    assert Decision.objects.count() == 3 * BATCH + 1


@pytest.fixture
def narrow(world: World) -> World:
    """An encoder that works on three short texts at a time: a claim is read into two batches."""
    world.models.active.text_encoder.tokens_at_once = 3 * 8
    return world


def test_a_claim_is_worked_off_in_batches_of_the_encoders_size(narrow: World) -> None:
    create(2 * BATCH)
    sizes: list[int] = []
    narrow.meanwhile = lambda texts: sizes.append(len(texts))
    while narrow.queue_worker.run_once():
        pass
    assert sizes == [3, 2, 3, 2]
    # What is written has left the claim; the next one is taken beside the last of its batches.
    assert narrow.seen == [[5], [2, 5], [5], [2]]
    assert Decision.objects.count() == 2 * BATCH
    assert not QueuedPosting.objects.exists()


def test_what_is_created_meanwhile_goes_before_the_rest_of_a_backfills_claim(
    narrow: World,
) -> None:
    order = encoded_beside_a_fresh_one(narrow, BATCH)
    assert [len(texts) for texts in order] == [3, 1, 2]
    assert order[1] == ["Ny og frisk"]
    assert narrow.seen[1] == [1, 2], "the rest of the claim was given back"
    assert Decision.objects.count() == BATCH + 1


def test_a_flood_of_fresh_postings_leaves_no_backfill_in_hand(narrow: World) -> None:
    create(BATCH)
    QueuedPosting.objects.update(priority=Priority.BACKFILL)

    def flood(texts: list[str]) -> None:
        if len(narrow.seen) == 1:
            JobPosting.objects.bulk_create([JobPosting(title=f"Ny {n}") for n in range(BATCH)])

    narrow.meanwhile = flood
    narrow.queue_worker.run_once()
    waiting = QueuedPosting.objects.filter(priority=Priority.BACKFILL)
    assert [row.token for row in waiting] == [None, None]
    while narrow.queue_worker.run_once():
        pass
    assert Decision.objects.count() == 2 * BATCH


@pytest.mark.django_db(transaction=True)
def test_a_fault_between_two_turns_gives_all_back_uncounted(
    settings: Any, monkeypatch: Any
) -> None:
    """As when the connection is lost by which others see that this worker lives."""
    settings.MARKETPLACE_AI_CLAIM_SIZE = BATCH
    create(3 * BATCH)
    queue_worker = Worker(ModelLoader())
    hold, held = queue_worker.liveness.acquire, []

    def lose() -> int:
        held.append(len(claims()))
        if len(held) == 2:
            queue_worker.stop()
            raise OperationalError("the connection is lost")
        return hold()

    monkeypatch.setattr(queue_worker.liveness, "acquire", lose)
    queue_worker.run()
    assert held == [0, 1]
    left = QueuedPosting.objects.values_list("token", "is_isolated", "attempts")
    assert list(left) == [(None, False, 0)] * 2 * BATCH


def test_closing_writes_what_is_encoded_and_gives_back_the_rest(narrow: World) -> None:
    create(2 * BATCH)
    narrow.queue_worker.run_once()
    narrow.queue_worker.close()
    assert Decision.objects.count() == BATCH
    left = QueuedPosting.objects.values_list("token", "is_isolated", "attempts")
    assert list(left) == [(None, False, 0)] * BATCH


def test_only_the_time_in_the_encoder_counts(settings: Any) -> None:
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


def test_what_was_read_for_another_encoder_is_encoded_anew(world: World, settings: Any) -> None:
    from marketplace_ai.encoders import active
    from marketplace_ai.models import Encoder, EncoderState

    create(2 * BATCH)

    def switch(texts: list[str]) -> None:
        if len(world.seen) == 1:
            settings.MARKETPLACE_AI_ENCODER = "dummy:32"
            Encoder.objects.update(state=EncoderState.READY)
            active.ensure_active()

    world.meanwhile = switch
    while world.queue_worker.run_once():
        pass
    assert set(Decision.objects.values_list("encoder__source", flat=True)) == {"dummy:32"}
    assert Decision.objects.count() == 2 * BATCH


@pytest.mark.django_db(transaction=True)
def test_a_fault_of_the_database_gives_both_back_uncounted(settings: Any, monkeypatch: Any) -> None:
    settings.MARKETPLACE_AI_CLAIM_SIZE = BATCH
    create(3 * BATCH)
    queue_worker = Worker(ModelLoader())

    def fail(self: ActiveModel, batch: Any, vectors: Any) -> Any:
        raise OperationalError("the connection is lost")

    try:
        with monkeypatch.context() as patch, pytest.raises(OperationalError):
            patch.setattr(ActiveModel, "finish", fail)
            queue_worker.run_once()
        left = QueuedPosting.objects.values_list("token", "is_isolated", "attempts")
        assert list(left) == [(None, False, 0)] * 3 * BATCH
        QueuedPosting.objects.update(scheduled_at="2026-01-01T00:00Z")
        while queue_worker.run_once():
            pass
        assert Decision.objects.count() == 3 * BATCH
    finally:
        queue_worker.close()


def two_in_hand(worker: workers.Processes) -> None:
    worker.wait_for(lambda: len(claims()) == 2, "it does not go ahead")


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
def test_a_worker_killed_with_two_batches_in_hand_costs_no_posting(tmp_path: Path) -> None:
    url = workers.database()
    create(60)
    environment = workers.environment(url, claim_size=20, lease_seconds=3600, FAULTS_SECONDS=0.06)
    with workers.queue_worker(tmp_path, environment) as victim:
        victim.wait_for_batch()
        two_in_hand(victim)
        victim.kill()
        victim.end()
    assert sum(claims().values()) == 40
    environment["FAULTS_SECONDS"] = "0"
    with workers.queue_worker(tmp_path / "other", environment) as other:
        other.wait_for(lambda: ledger.queue(url).settled, "they are not taken over")
    ledger.assert_exactly_once(url, 60)


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
def test_both_leases_are_renewed_and_a_stop_keeps_to_the_batch_in_the_encoder(
    tmp_path: Path,
) -> None:
    create(60)
    environment = workers.environment(
        workers.database(), claim_size=20, lease_seconds=2, FAULTS_SECONDS=0.4
    )

    def leases() -> dict[Any, Any]:
        held = QueuedPosting.objects.filter(token__isnull=False)
        return dict(held.values_list("token", "lease_expires_at").distinct())

    with workers.queue_worker(tmp_path, environment) as worker:
        worker.wait_for_batch()
        two_in_hand(worker)
        before = leases()
        worker.wait_for(
            lambda: all(leases().get(token, until) > until for token, until in before.items()),
            "a lease is not renewed",
        )
        assert leases().keys() == before.keys()
        worker.process.terminate()
        worker.wait_for_end()
    assert Decision.objects.count() == 20
    left = QueuedPosting.objects.values_list("token", "is_isolated", "attempts")
    assert list(left) == [(None, False, 0)] * 40
