"""Candidates in a worker: they are loaded and built without delaying the active encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from marketplace_ai.encoders import active as encoders
from marketplace_ai.encoding import DummyEncoder, EncoderError
from marketplace_ai.models import (
    Decision,
    Encoder,
    EncoderState,
    JobPosting,
    PostingEmbedding,
    QueuedPosting,
)
from marketplace_ai.queue import backfill, intake
from marketplace_ai.serving.active_model import ModelLoader
from marketplace_ai.worker import candidate_worker
from tests.acceptance import ledger, workers
from tests.inline import Late
from tests.integration.command_calls import call, call_json, failed, refused
from tests.integration.encoders.factories import (
    Recorder,
    candidate,
    queue_worker,
    rows,
    state,
    switch,
    vectors,
)
from tests.integration.queue.scan_helpers import older
from tests.integration.worker_runs import drain

pytestmark = pytest.mark.django_db

BATCH = 5


@pytest.fixture
def active(db: None, settings: Any) -> Encoder:
    settings.MARKETPLACE_AI_CLAIM_SIZE = BATCH
    return encoders.ensure_active()[0]


@pytest.fixture
def seen(active: Encoder, monkeypatch: Any) -> Recorder:
    return Recorder(monkeypatch)


@pytest.fixture
def loads(monkeypatch: Any) -> list[str]:
    """Names of encoders whenever one is loaded."""
    names: list[str] = []
    load = encoders.load

    def loading(encoder: Encoder) -> Any:
        names.append(encoder.name)
        return load(encoder)

    monkeypatch.setattr(encoders, "load", loading)
    return names


def run(working: Any, iterations: int = 40) -> None:
    for _ in range(iterations):
        if not working.run_once():
            return
    raise AssertionError("it does not come to an end")


class TestOrder:
    def test_a_posting_waits_for_one_batch_of_a_candidate_at_most(
        self, active: Encoder, seen: Recorder
    ) -> None:
        """Created while one batch is encoded, it is in the next, though another is claimed."""
        older(4 * BATCH)
        candidate()

        def create(dimension: int, texts: list[str]) -> None:
            if dimension == 32 and not JobPosting.objects.filter(title="Ny").exists():
                JobPosting.objects.create(title="Ny")

        seen.calls.clear()
        seen.meanwhile = create
        from marketplace_ai.worker.loop import Worker

        working = Worker(ModelLoader(), executor=Late())
        try:
            run(working)
        finally:
            working.close()
        order = [dimension for dimension, _ in seen.calls]
        assert seen.of("Ny") == [64, 32]
        first = order.index(32)
        assert seen.calls[first + 1] == (64, ["Ny"])

    @pytest.mark.slow
    def test_only_one_encoder_has_batches_in_flight(self, active: Encoder, seen: Recorder) -> None:
        older(3 * BATCH)
        both = [candidate("one"), candidate("two", 48)]
        encoders_in_flight: list[set[Any]] = []

        def look(dimension: int, texts: list[str]) -> None:
            claimed = QueuedPosting.objects.filter(token__isnull=False)
            encoders_in_flight.append(set(claimed.values_list("encoder_id", flat=True)))
            if len(encoders_in_flight) % 2:
                JobPosting.objects.create(title=f"Ny {len(encoders_in_flight)}")
                JobPosting.objects.filter(title="Ny 3").update(title="Ny 3!")

        seen.meanwhile = look
        working = queue_worker()
        try:
            for _ in range(12):
                working.run_once()
            seen.meanwhile = lambda dimension, texts: None
            run(working)
        finally:
            working.close()
        assert len(encoders_in_flight) > 5
        assert all(len(keys) <= 1 for keys in encoders_in_flight), encoders_in_flight
        everything = set(JobPosting.objects.values_list("pk", flat=True))
        assert all(vectors(encoder) == everything for encoder in both)

    def test_a_posting_created_between_two_iterations_goes_before_the_candidate(
        self, active: Encoder, seen: Recorder
    ) -> None:
        older(4 * BATCH)
        encoder = candidate()
        working = queue_worker()
        in_flight: list[set[Any]] = []

        def look(dimension: int, texts: list[str]) -> None:
            claimed = QueuedPosting.objects.filter(token__isnull=False)
            in_flight.append(set(claimed.values_list("encoder_id", flat=True)))

        try:
            while not working._candidates.is_busy:
                assert working.run_once()
            JobPosting.objects.create(title="Ny")
            seen.meanwhile = look
            assert working.run_once()
            assert Decision.objects.get().posting.title == "Ny"
            assert in_flight[0] == {None}
            run(working)
        finally:
            working.close()
        assert len(vectors(encoder)) == 4 * BATCH + 1

    @pytest.mark.slow
    def test_one_that_is_ready_stays_so_while_another_is_built(
        self, active: Encoder, seen: Recorder
    ) -> None:
        ready = candidate("ready", 48)
        drain()
        older(6 * BATCH)
        candidate("building")
        QueuedPosting.objects.all().delete()

        def create(dimension: int, texts: list[str]) -> None:
            if dimension == 32 and not JobPosting.objects.filter(title="Ny").exists():
                JobPosting.objects.create(title="Ny")

        seen.meanwhile = create
        drain()
        assert state(ready) == EncoderState.READY
        assert seen.of("Ny") == [64, 48, 32]

    def test_a_stop_releases_the_prefetched_batch_of_a_candidate(
        self, active: Encoder, seen: Recorder
    ) -> None:
        older(3 * BATCH)
        encoder = candidate()
        from marketplace_ai.worker.loop import Worker

        working = Worker(ModelLoader(), executor=Late())
        seen.meanwhile = lambda dimension, texts: working.stop() if len(texts) == BATCH else None
        try:
            run(working, iterations=2)
        except AssertionError:
            pass
        finally:
            working.close()
        assert len(vectors(encoder)) == BATCH
        remaining = QueuedPosting.objects.values_list("token", "is_isolated", "attempts")
        assert list(remaining) == [(None, False, 0)] * 2 * BATCH

    def test_no_batch_of_a_candidate_is_in_flight_together_with_an_isolated_row(
        self, active: Encoder, seen: Recorder
    ) -> None:
        older(4 * BATCH)
        encoder = candidate()
        num_claimed: list[int] = []

        def look(dimension: int, texts: list[str]) -> None:
            if "Alene" in texts:
                num_claimed.append(QueuedPosting.objects.filter(token__isnull=False).count())
            elif dimension == 32 and not JobPosting.objects.filter(title="Alene").exists():
                JobPosting.objects.create(title="Alene")
                intake.collect()
                QueuedPosting.objects.filter(posting__title="Alene").update(is_isolated=True)

        seen.meanwhile = look
        drain()
        assert num_claimed == [1, 1]
        assert len(vectors(encoder)) == 4 * BATCH + 1

    def test_a_text_that_only_the_candidate_cannot_encode_is_found(
        self, active: Encoder, monkeypatch: Any
    ) -> None:
        older(BATCH)
        encoder = candidate()
        encode = DummyEncoder.encode

        def choke(self: DummyEncoder, texts: Any) -> Any:
            if self.dimension == 32 and "Male rom 3" in texts:
                raise ValueError("cannot")
            return encode(self, texts)

        monkeypatch.setattr(DummyEncoder, "encode", choke)
        drain()
        assert len(vectors(encoder)) == BATCH - 1
        row = QueuedPosting.objects.get()
        assert (row.posting.title, row.attempts, row.encoder) == ("Male rom 3", 1, encoder)


class TestFailures:
    def broken(self, monkeypatch: Any) -> list[int]:
        """Have loading the 32-dimensional encoder fail; returns one entry for each attempt."""
        attempts: list[int] = []
        warm_up = DummyEncoder.warm_up

        def fail(self: DummyEncoder) -> None:
            if self.dimension == 32:
                attempts.append(1)
                raise EncoderError("its files are gone")
            warm_up(self)

        monkeypatch.setattr(DummyEncoder, "warm_up", fail)
        return attempts

    def test_one_that_cannot_be_loaded_delays_no_other_and_is_reported(
        self, active: Encoder, monkeypatch: Any, caplog: Any
    ) -> None:
        encoder, other = candidate("broken"), candidate("sound", 48)
        attempts = self.broken(monkeypatch)
        job = JobPosting.objects.create(title="Male stue")
        drain()
        assert (vectors(active), vectors(other), vectors(encoder)) == ({job.pk}, {job.pk}, set())
        assert caplog.text.count("its files are gone") == len(attempts) == 1
        assert "its files are gone" in call_json("encoders")["encoders"][1]["trouble"]
        assert "its files are gone" in call("encoders")

    def test_it_is_loaded_again_after_a_pause_and_reported_once(
        self, active: Encoder, monkeypatch: Any, caplog: Any
    ) -> None:
        encoder = candidate()
        attempts = self.broken(monkeypatch)
        job = JobPosting.objects.create(title="Male stue")
        working = queue_worker()
        try:
            run(working)
            monkeypatch.setattr(candidate_worker, "CANDIDATE_ENCODER_SECONDS", 0)
            run(working)
            assert len(attempts) == 1, "it does not pause"
            for candidate_in_worker in working._candidates._workers.values():
                candidate_in_worker._paused_until = 0
            run(working)
            assert len(attempts) == 2
            assert caplog.text.count("its files are gone") == 1
            monkeypatch.undo()
            run(working)
        finally:
            working.close()
        assert vectors(encoder) == {job.pk}
        encoder.refresh_from_db()
        assert (encoder.state, encoder.last_error) == ("ready", "")

    def test_weights_other_than_the_registered_ones_are_not_used(self, active: Encoder) -> None:
        encoder = candidate()
        Encoder.objects.filter(pk=encoder.pk).update(weights_hash="0" * 64)
        JobPosting.objects.create(title="Male stue")
        drain()
        encoder.refresh_from_db()
        assert not vectors(encoder)
        assert "not those that were registered" in encoder.last_error

    def test_one_that_breaks_is_loaded_again(
        self, active: Encoder, monkeypatch: Any, loads: list[str]
    ) -> None:
        """The device fails on every text: the postings are released, uncounted but isolated."""
        encoder = candidate()
        JobPosting.objects.bulk_create([JobPosting(title=f"Male {n}") for n in range(3)])
        encode, broken = DummyEncoder.encode, [1]

        def fail(self: DummyEncoder, texts: Any) -> Any:
            if self.dimension == 32 and broken:
                raise RuntimeError("device-side assert")
            return encode(self, texts)

        monkeypatch.setattr(DummyEncoder, "encode", fail)
        working = queue_worker()
        try:
            run(working)
            assert len(vectors(active)) == 3
            remaining = QueuedPosting.objects.values_list(
                "encoder", "is_isolated", "attempts", "token"
            )
            assert list(remaining) == [(encoder.pk, True, 0, None)] * 3
            broken.clear()
            for candidate_in_worker in working._candidates._workers.values():
                candidate_in_worker._paused_until = 0
            run(working)
        finally:
            working.close()
        assert len(vectors(encoder)) == 3
        assert loads == ["dummy", "next", "next"]

    def test_draining_ends_though_one_cannot_be_loaded(
        self, active: Encoder, monkeypatch: Any
    ) -> None:
        candidate()
        self.broken(monkeypatch)
        JobPosting.objects.create(title="Male stue")
        working = queue_worker()
        waits: list[float] = []

        def wait(seconds: float, *args: Any) -> None:
            waits.append(seconds)
            assert len(waits) < 20, "it does not end"

        monkeypatch.setattr(working, "_wait", wait)
        monkeypatch.setattr("django.db.backends.base.base.BaseDatabaseWrapper.close", lambda s: 0)
        working.run(until_empty=True)
        assert Decision.objects.count() == 1


class TestSwitch:
    def test_a_loaded_encoder_is_reused_after_a_switch_and_back(
        self, active: Encoder, loads: list[str]
    ) -> None:
        encoder = candidate()
        JobPosting.objects.create(title="Male stue")
        working = queue_worker()
        try:
            run(working)
            assert loads == ["dummy", "next"]
            switch(encoder)
            JobPosting.objects.update(title="Klippe gress")
            run(working)
            assert Decision.objects.get(is_current=True).encoder == encoder
            switch(active)
            JobPosting.objects.update(title="Bytte kran")
            run(working)
        finally:
            working.close()
        assert Decision.objects.get(is_current=True).encoder == active
        assert loads == ["dummy", "next"]
        digests = PostingEmbedding.objects.values_list("text_digest", flat=True)
        assert len({bytes(digest) for digest in digests}) == 1

    def test_postings_queued_before_a_switch_get_vectors_of_the_former_encoder_too(
        self, active: Encoder
    ) -> None:
        encoder = candidate()
        drain()
        edited = JobPosting.objects.create(title="Male stue")
        drain()
        JobPosting.objects.update(title="Male tak")
        new = JobPosting.objects.create(title="Klippe gress")
        intake.collect()
        assert not rows(active)
        switch(encoder)
        drain()
        assert vectors(active) == vectors(encoder) == {edited.pk, new.pk}
        digests = PostingEmbedding.objects.filter(posting=edited).values_list(
            "text_digest", flat=True
        )
        assert len({bytes(digest) for digest in digests}) == 1
        assert not QueuedPosting.objects.exists()

    def test_its_candidate_rows_are_processed_after_it_became_active(
        self, active: Encoder, seen: Recorder
    ) -> None:
        """Rows for its vectors were left when it was promoted; they lead to no decision."""
        encoder = candidate()
        JobPosting.objects.create(title="Male stue")
        working = queue_worker()
        try:
            working.run_once()  # decided by the active one
            assert len(rows(encoder)) == 1
            switch(encoder)
            run(working)
        finally:
            working.close()
        assert len(vectors(encoder)) == 1
        assert Decision.objects.get().encoder == active
        assert not QueuedPosting.objects.exists()

    @pytest.mark.slow
    def test_a_retired_candidate_is_released_from_memory(self, active: Encoder) -> None:
        encoder = candidate()
        models = ModelLoader()
        working = queue_worker(models)
        JobPosting.objects.create(title="Male stue")
        try:
            run(working)
            assert models.text_encoders.keys() == {active.pk, encoder.pk}
            Encoder.objects.filter(pk=encoder.pk).update(state=EncoderState.RETIRED)
            run(working)
            assert models.text_encoders.keys() == {active.pk}
        finally:
            working.close()

    def test_nothing_is_loaded_without_work(self, active: Encoder, loads: list[str]) -> None:
        candidate()
        drain()
        assert loads == ["dummy"]


class TestDedicatedWorker:
    def test_it_builds_one_and_decides_nothing(
        self, active: Encoder, loads: list[str], exemplars: None
    ) -> None:
        jobs = older(3)
        encoder, other = candidate(), candidate("other", 48)
        JobPosting.objects.create(title="Male stue")
        working = queue_worker(only=encoder.pk)
        try:
            run(working)
        finally:
            working.close()
        assert len(vectors(encoder)) == len(jobs) + 1
        assert state(encoder) == EncoderState.READY
        assert (vectors(active), vectors(other)) == (set(), set())
        assert loads == ["next"]
        assert len(rows(None)) == 1

    def test_it_ends_when_its_encoder_is_no_longer_a_candidate(self, active: Encoder) -> None:
        encoder = candidate()
        working = queue_worker(only=encoder.pk)
        switch(encoder)
        try:
            working.run_once()
            assert working.stopping
        finally:
            working.close()
        assert "is not a candidate encoder" in refused("process_pending", encoder="next")
        assert "is not a candidate encoder" in refused("process_pending", encoder="none")

    @pytest.mark.django_db(transaction=True)
    def test_the_command(self, active: Encoder, monkeypatch: Any) -> None:
        older(3)
        encoder = candidate()
        call("process_pending", encoder="next", drain=True)
        assert len(vectors(encoder)) == 3
        assert state(encoder) == EncoderState.READY
        Encoder.objects.filter(pk=encoder.pk).update(weights_hash="0" * 64)
        backfill.queue([JobPosting.objects.earliest("pk").pk], encoder_id=encoder.pk)
        message = failed("process_pending", encoder="next", drain=True)
        assert "The encoder 'next' was not built" in message


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
def test_a_real_worker_builds_one_in_separate_threads(active: Encoder, tmp_path: Path) -> None:
    older(30)
    encoder = candidate()
    JobPosting.objects.create(title="Male stue")
    url = workers.database()
    environment = workers.environment(url, claim_size=10, poll_interval_seconds=0.05)
    with workers.queue_worker(tmp_path, environment) as worker:
        worker.wait_for(lambda: state(encoder) == EncoderState.READY, "it is not built")
        worker.process.terminate()
        assert worker.wait_for_end() == 0
    assert len(vectors(encoder)) == 31
    assert Decision.objects.count() == 1
    assert ledger.queue(url).settled
