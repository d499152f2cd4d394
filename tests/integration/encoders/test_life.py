"""A candidate encoder: registered, given all vectors, ready by itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from marketplace_ai.encoders import active as encoders
from marketplace_ai.encoders import partitions, readiness, register
from marketplace_ai.encoding import DummyEncoder
from marketplace_ai.models import (
    Decision,
    Encoder,
    EncoderState,
    Exemplar,
    ExemplarEmbedding,
    JobPosting,
    PostingEmbedding,
    QueuedPosting,
    TableScan,
)
from marketplace_ai.queue import backfill, intake, scans
from tests.integration.command_calls import call, call_json, failed, refused
from tests.integration.queue.scan_helpers import older, without_triggers
from tests.integration.worker_runs import drain

from .factories import Recorder, candidate, rows, state, vectors

pytestmark = pytest.mark.django_db


@pytest.fixture
def active(db: None) -> Encoder:
    return encoders.ensure_active()[0]


class TestRegistering:
    def test_it_is_building_with_its_partition_and_its_backfill(self, active: Encoder) -> None:
        older(3)
        found = call_json("register_encoder", "next", path="dummy:32")
        encoder = Encoder.objects.get(name="next")
        assert (found["state"], found["dimension"]) == ("building", 32)
        assert (encoder.source, encoder.weights_hash) == ("dummy:32", found["weights_hash"])
        scan = TableScan.objects.get(encoder=encoder)
        assert (scan.is_vector_only, scan.total, scan.finished_at) == (True, 3, None)
        job = JobPosting.objects.earliest("pk")
        PostingEmbedding.objects.create(
            posting=job, encoder=encoder, vector=[1.0, *[0.0] * 31], text_digest=b"x"
        )
        assert Encoder.objects.active() == active

    def test_the_next_steps_are_printed(self, active: Encoder) -> None:
        message = call("register_encoder", "next", path="dummy")
        assert "dummy (active) has the same weights" in message
        assert "activate_encoder next" in message

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("dummy", "There is an encoder 'dummy' already (active)"),
            ("my model", "'my model' is not a valid name for an encoder"),
            ("x" * 101, "is not a valid name for an encoder"),
            ("", "is not a valid name for an encoder"),
        ],
    )
    def test_a_name_is_given_once_and_is_a_slug(
        self, active: Encoder, name: str, message: str
    ) -> None:
        assert message in refused("register_encoder", name, path="dummy:32")
        assert Encoder.objects.count() == 1

    def test_the_first_one_is_the_settings(self, db: None) -> None:
        assert "No encoder is active yet" in refused("register_encoder", "next", path="dummy:32")

    def test_a_source_that_cannot_be_loaded_registers_nothing(self, active: Encoder) -> None:
        message = failed("register_encoder", "next", path="/there/is/none")
        assert "Nothing was registered: There is no encoder '/there/is/none'" in message

    def test_bad_vectors_register_nothing(self, active: Encoder, monkeypatch: Any) -> None:
        encode = DummyEncoder.encode
        monkeypatch.setattr(DummyEncoder, "encode", lambda self, texts: 2 * encode(self, texts))
        assert "not finite unit vectors" in failed("register_encoder", "next", path="dummy:32")
        assert Encoder.objects.count() == 1

    def test_more_values_than_the_database_holds(self, active: Encoder) -> None:
        message = failed("register_encoder", "next", path="dummy:16001")
        assert "16000 at most" in message
        assert Encoder.objects.count() == 1

    @pytest.mark.django_db(transaction=True)
    def test_it_is_all_or_nothing(self, active: Encoder, monkeypatch: Any) -> None:
        def fail(*args: Any, **options: Any) -> None:
            raise RuntimeError("no scan")

        before = partition_names()
        assert partitions.name(active) in before
        monkeypatch.setattr(backfill, "request", fail)
        with pytest.raises(RuntimeError):
            register.register("next", DummyEncoder(32))
        assert not Encoder.objects.filter(name="next").exists()
        assert partition_names() == before

    @pytest.mark.django_db(transaction=True)
    def test_a_host_that_writes_is_waited_for_without_keeping_others_out(
        self, active: Encoder, monkeypatch: Any
    ) -> None:
        """The partition's foreign key locks the host's table: an open transaction is let be, and
        it is tried again."""
        host = connections["default"].copy()
        pauses: list[float] = []

        def end_the_hosts(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 2:
                host.cursor().execute("COMMIT")

        monkeypatch.setattr(partitions, "LOCK_TIMEOUT", 50)
        monkeypatch.setattr("time.sleep", end_the_hosts)
        try:
            with host.cursor() as cursor:
                cursor.execute("BEGIN")
                cursor.execute("INSERT INTO marketplace_ai_jobposting (title) VALUES ('a')")
            assert candidate().state == EncoderState.BUILDING
        finally:
            host.close()
        assert len(pauses) == 2


def partition_names() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits "
            "WHERE inhparent = 'marketplace_ai_postingembedding'::regclass"
        )
        return {name for (name,) in cursor.fetchall()}


class TestIntake:
    def test_each_candidate_gets_a_row_behind_everything_fresh(self, active: Encoder) -> None:
        both = [candidate("one"), candidate("two", 48)]
        job = JobPosting.objects.create(title="Male stue")
        intake.collect()
        assert (rows(None)[job.pk].priority, rows(None)[job.pk].is_vector_only) == (100, False)
        for encoder in both:
            row = rows(encoder)[job.pk]
            assert (row.priority, row.is_vector_only, row.failed_at) == (0, True, None)

    def test_changes_are_folded_and_revive_failed_postings(self, active: Encoder) -> None:
        encoder = candidate()
        job = JobPosting.objects.create(title="Male stue")
        intake.collect()
        QueuedPosting.objects.filter(encoder=encoder).update(
            failed_at="2026-01-01T00:00Z", attempts=3
        )
        for text in "abc":
            JobPosting.objects.update(title=text)
        assert intake.collect() == 1
        row = rows(encoder)[job.pk]
        assert (row.failed_at, row.attempts) == (None, 0)

    def test_no_candidate_no_row(self, active: Encoder) -> None:
        gone = candidate()
        Encoder.objects.filter(pk=gone.pk).update(state=EncoderState.RETIRED)
        JobPosting.objects.create(title="Male stue")
        with CaptureQueriesContext(connection) as queries:
            intake.collect()
        assert [row.encoder_id for row in QueuedPosting.objects.all()] == [None]
        assert len([q for q in queries if "SAVEPOINT" not in q["sql"]]) == 1

    def test_what_triggers_missed_is_found_for_candidates_too(self, active: Encoder) -> None:
        encoder = candidate()
        with without_triggers():
            job = JobPosting.objects.create(title="Male stue")
        TableScan.objects.filter(encoder=encoder).delete()
        TableScan.objects.create(
            purpose="reconcile",
            requested_at=sql_now(),
            advanced_at=sql_now(),
            scheduled_at=sql_now(),
        )
        assert scans.advance(active)
        assert rows(None).keys() == rows(encoder).keys() == {job.pk}

    @pytest.mark.django_db(transaction=True)
    def test_one_that_is_being_retired_is_waited_for_and_gets_none(self, active: Encoder) -> None:
        """The intake looks at the encoder when its lock is free, not before."""
        import threading

        encoder = candidate()
        JobPosting.objects.create(title="Male stue")
        other = connections["default"].copy()
        try:
            with other.cursor() as cursor:
                cursor.execute("BEGIN")
                cursor.execute(
                    "UPDATE marketplace_ai_encoder SET state = 'retired' WHERE id = %s",
                    [encoder.pk],
                )

                def collect() -> None:
                    try:
                        intake.collect()
                    finally:
                        connection.close()

                thread = threading.Thread(target=collect)
                thread.start()
                wait_for_a_lock()
                cursor.execute("COMMIT")
            thread.join(30)
        finally:
            other.close()
        assert not rows(encoder)
        assert len(rows(None)) == 1


def sql_now() -> Any:
    from django.utils import timezone

    return timezone.now()


def wait_for_a_lock() -> None:
    from tests.acceptance.workers import wait_for

    def waits() -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            return bool(cursor.fetchone()[0])

    wait_for(waits, lambda: "nothing waits for a lock")


class TestBuilding:
    def test_everything_gets_its_vector_and_it_is_ready(
        self, active: Encoder, exemplars: None, caplog: Any
    ) -> None:
        jobs = older(7)
        encoder = candidate()
        fresh = JobPosting.objects.create(title="Male stue")
        caplog.set_level("INFO")
        drain()
        assert vectors(encoder) == {*(job.pk for job in jobs), fresh.pk}
        assert state(encoder) == EncoderState.READY
        assert "The encoder next is ready" in caplog.text
        # No decision, and no vector of the active one, is made of it.
        assert vectors(active) == {fresh.pk}
        assert Decision.objects.get().encoder == active
        given = ExemplarEmbedding.objects.filter(encoder=encoder)
        assert given.count() == Exemplar.objects.filter(state="active").count() > 0

    def test_what_comes_in_while_it_is_ready_gets_both(self, active: Encoder) -> None:
        encoder = candidate()
        drain()
        assert state(encoder) == EncoderState.READY
        job = JobPosting.objects.create(title="Male stue")
        drain()
        JobPosting.objects.update(title="Klippe gress")
        drain()
        digests = set(PostingEmbedding.objects.values_list("text_digest", flat=True))
        assert vectors(active) == vectors(encoder) == {job.pk}
        assert len({bytes(digest) for digest in digests}) == 1
        assert state(encoder) == EncoderState.READY

    def test_new_exemplars_get_its_vectors_too(
        self, active: Encoder, catalog: Any, exemplars: None
    ) -> None:
        encoder = candidate()
        drain()
        added = Exemplar.objects.create(
            text="Male gjerde", category=catalog["maling"], source="imported", text_digest=b"1"
        )
        drain()
        assert ExemplarEmbedding.objects.filter(encoder=encoder, exemplar=added).exists()

    @pytest.mark.parametrize(
        "lacking",
        ["a vector", "a row that is tried again", "the scan", "another scan", "an exemplar"],
    )
    def test_it_is_not_ready_before(
        self, active: Encoder, posting: JobPosting, lacking: str, exemplars: None
    ) -> None:
        encoder = candidate()
        drain()
        Encoder.objects.filter(pk=encoder.pk).update(state=EncoderState.BUILDING)
        if lacking == "the scan":
            TableScan.objects.filter(encoder=encoder).update(finished_at=None)
        elif lacking == "another scan":
            backfill.request(encoder, vectors_only=True, at_most=5)
        elif lacking == "an exemplar":
            ExemplarEmbedding.objects.filter(encoder=encoder).first().delete()
        else:
            intake_row = {"is_isolated": True} if "again" in lacking else {}
            backfill.queue([posting.pk], encoder_id=encoder.pk, vectors_only=True)
            QueuedPosting.objects.update(**intake_row)
        assert not readiness.mark_ready(encoder)
        assert state(encoder) == EncoderState.BUILDING
        drain()
        assert state(encoder) == EncoderState.READY

    def test_a_steady_stream_does_not_keep_it_from_becoming_ready(
        self, active: Encoder, posting: JobPosting
    ) -> None:
        encoder = candidate()
        drain()
        Encoder.objects.filter(pk=encoder.pk).update(state=EncoderState.BUILDING)
        backfill.queue([posting.pk], encoder_id=encoder.pk, vectors_only=True)
        # In a test all is done at one moment, that of its transaction.
        QueuedPosting.objects.update(queued_at=timezone.now() + timedelta(seconds=1))
        assert readiness.mark_ready(encoder)

    def test_failed_postings_do_not_block_it(
        self, active: Encoder, posting: JobPosting, monkeypatch: Any
    ) -> None:
        encode = DummyEncoder.encode

        def choke(self: DummyEncoder, texts: Any) -> Any:
            if self.dimension == 32 and any(
                "Male" in text for text in texts if "soverom" not in text
            ):
                raise ValueError("cannot")
            return encode(self, texts)

        encoder = candidate()
        monkeypatch.setattr(DummyEncoder, "encode", choke)
        drain()
        row = rows(encoder)[posting.pk]
        assert (row.attempts, row.last_error) == (1, "ValueError: cannot")
        assert state(encoder) == EncoderState.BUILDING
        QueuedPosting.objects.update(failed_at="2026-01-01T00:00Z")
        drain()
        assert state(encoder) == EncoderState.READY
        assert Decision.objects.get().posting == posting
        shown = call_json("encoders")["encoders"][1]
        assert (shown["state"], shown["set_aside"]) == ("ready", 1)

    def test_a_posting_that_is_edited_meanwhile_is_encoded_again(
        self, active: Encoder, posting: JobPosting, monkeypatch: Any
    ) -> None:
        candidate()
        seen = Recorder(monkeypatch)

        def edit(dimension: int, texts: list[str]) -> None:
            if dimension == 32 and len(seen.of("Male stue og gang\nCirka 40 kvm")) == 2:
                JobPosting.objects.update(title="Klippe gress", description="")

        seen.meanwhile = edit
        drain()
        assert seen.of("Male stue og gang\nCirka 40 kvm") == [64, 32]
        assert sorted(seen.of("Klippe gress")) == [32, 64]
        digests = PostingEmbedding.objects.values_list("text_digest", flat=True)
        assert len({bytes(digest) for digest in digests}) == 1

    @pytest.mark.slow
    def test_a_batch_of_one_that_was_retired_is_not_written(
        self, active: Encoder, posting: JobPosting, monkeypatch: Any
    ) -> None:
        encoder = candidate()
        seen = Recorder(monkeypatch)

        def retire(dimension: int, texts: list[str]) -> None:
            if dimension == 32:
                Encoder.objects.filter(pk=encoder.pk).update(state=EncoderState.RETIRED)

        seen.meanwhile = retire
        drain()
        assert not vectors(encoder)
        assert not rows(encoder)
        assert vectors(active) == {posting.pk}

    def test_the_backfill_command_is_for_candidates_too(self, active: Encoder) -> None:
        older(4)
        encoder = candidate()
        TableScan.objects.all().delete()
        found = call_json("backfill_embeddings", encoder="next")
        assert (found["missing"], found["queued"], found["pending"]) == (4, 4, 4)
        assert all(row.is_vector_only for row in rows(encoder).values())
        assert TableScan.objects.get().is_vector_only
        assert call_json("backfill_embeddings")["pending"] == 4  # the active one's own
        assert "neither the active" in refused("backfill_embeddings", encoder="other")

    def test_how_far_each_is_is_shown(self, active: Encoder, exemplars: None) -> None:
        older(4)
        candidate()
        before = call_json("encoders")["encoders"]
        assert [row["state"] for row in before] == ["active", "building"]
        assert before[1]["postings"] == {"with_vector": 0, "all": 4}
        assert before[1]["backfill"]["total"] == 4
        drain()
        after = call_json("encoders")["encoders"][1]
        assert after["postings"]["with_vector"] == 4
        assert after["exemplars"]["with_vector"] == after["exemplars"]["all"] > 0
        assert (after["state"], after["pending"], after["backfill"]) == ("ready", 0, None)
        message = call("encoders")
        assert "next: ready, 32 dimensions" in message
        assert "vectors: 4 of 4 (100%) of the postings" in message
        with CaptureQueriesContext(connection) as queries:
            call("encoders")
        assert len(queries) <= 3 + 2 * 8


def test_an_exemplar_that_a_candidate_cannot_encode_goes_on_voting(
    active: Encoder, exemplars: None, monkeypatch: Any
) -> None:
    encoder = candidate()
    encode = DummyEncoder.encode

    def choke(self: DummyEncoder, texts: Any) -> Any:
        if self.dimension == 32 and "Male stue" in texts:
            raise ValueError("cannot")
        return encode(self, texts)

    monkeypatch.setattr(DummyEncoder, "encode", choke)
    drain()
    assert Exemplar.objects.get(text="Male stue").state == "active"
    encoder.refresh_from_db()
    assert (encoder.state, "cannot encode exemplar" in encoder.last_error) == ("building", True)


@pytest.mark.parametrize("statement", [readiness.MARK_READY, partitions.STATE])
def test_every_statement_is_planned(db: None, statement: str) -> None:
    values = {"encoder": 1, "table": "none", "parent": "marketplace_ai_postingembedding"}
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN " + statement, values)
        assert cursor.fetchall()
