"""Retiring an encoder: only its row is left, wherever the command is interrupted."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from django.core.management import CommandError
from django.db import connection, connections

from marketplace_ai.encoders import active as encoders
from marketplace_ai.encoders import partitions
from marketplace_ai.encoders import retire as retiring
from marketplace_ai.models import (
    Decision,
    Encoder,
    EncoderState,
    ExemplarEmbedding,
    JobPosting,
    Outcome,
    PostingEmbedding,
    QueuedPosting,
    ShadowDecision,
    TableScan,
)
from marketplace_ai.queue import backfill, intake, scans
from tests.acceptance.workers import wait_for
from tests.integration.command_calls import call, call_json, failed, refused
from tests.integration.queue.scan_helpers import older
from tests.integration.worker_runs import drain

from .factories import candidate, rows, state, vectors

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def active(transactional_db: None) -> Encoder:
    return encoders.ensure_active()[0]


@pytest.fixture
def encoder(active: Encoder) -> Encoder:
    """A candidate that has something of everything."""
    from marketplace_ai.models import ClassifierVersion

    made = candidate()
    job = JobPosting.objects.create(title="Male stue")
    drain()
    version = ClassifierVersion.objects.create(
        encoder=made, artifact=b"", target_precision=0.9, confidence_level=0.9,
        calibrated_on="exemplars", exemplar_generation=0,
    )  # fmt: skip
    ShadowDecision.objects.create(
        posting=job, encoder=made, classifier=version, outcome=Outcome.NONE, text_digest=b"",
        decided_at="2026-01-01T00:00Z",
    )  # fmt: skip
    backfill.request(made, vectors_only=True)
    JobPosting.objects.create(title="Klippe gress")
    intake.collect()
    assert rows(made)
    assert vectors(made)
    return made


def assert_gone(encoder: Encoder) -> None:
    assert state(encoder) == EncoderState.RETIRED
    assert encoder.retired_at is not None
    assert not partitions.exists(encoder)
    for model in (QueuedPosting, TableScan, ExemplarEmbedding, ShadowDecision, PostingEmbedding):
        assert not model.objects.filter(encoder=encoder).exists(), model


def test_all_of_it_goes_and_the_active_one_loses_nothing(active: Encoder, encoder: Encoder) -> None:
    found = call_json("retire_encoder", "next", yes=True)
    assert (found["state"], found["deleted"]["vectors"], found["deleted"]["pending"]) == (
        "retired", 1, 1,
    )  # fmt: skip
    assert_gone(encoder)
    assert len(vectors(active)) == 1
    drain()
    assert len(vectors(active)) == Decision.objects.count() == 2
    assert "nothing is left of it" in call("retire_encoder", "next")
    assert "already (retired)" in refused("register_encoder", "next", path="dummy:32")
    assert "retired" in call("encoders")


def test_what_is_stored_of_it_goes_in_steps(encoder: Encoder, monkeypatch: Any) -> None:
    monkeypatch.setattr(retiring, "DELETE_BATCH", 2)
    proposed = ShadowDecision.objects.get()
    for number in range(4):
        proposed.pk, proposed.posting = None, JobPosting.objects.create(title=f"Legge tak {number}")
        proposed.save(force_insert=True)
    intake.collect()
    assert (
        ShadowDecision.objects.count() == QueuedPosting.objects.filter(encoder=encoder).count() == 5
    )
    retiring.retire(encoder)
    assert_gone(encoder)


def test_the_active_one_stays(active: Encoder) -> None:
    assert "activate another one first" in refused("retire_encoder", "dummy", yes=True)
    assert state(active) == EncoderState.ACTIVE


def test_nobody_is_surprised(encoder: Encoder, monkeypatch: Any) -> None:
    output = refused("retire_encoder", "next")
    assert "about 1 postings' and" in output
    assert "give --yes" in output
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda prompt: "")
    assert failed("retire_encoder", "next") == "Nothing was changed."
    assert state(encoder) == EncoderState.READY
    assert "There is no encoder 'none'" in refused("retire_encoder", "none", yes=True)


class Killed(BaseException):
    pass


@pytest.mark.parametrize("statements", range(1, 30, 3))
def test_killed_at_any_statement_another_run_ends_it(encoder: Encoder, statements: int) -> None:
    """What is committed by then stays, what is not is rolled back, as by a kill."""
    counted: list[str] = []

    def count(execute: Any, sql: str, *args: Any) -> Any:
        counted.append(sql)
        if len(counted) == statements:
            raise Killed
        return execute(sql, *args)

    with contextlib.suppress(Killed), connection.execute_wrapper(count):
        retiring.retire(encoder)
    connection.close()
    # Once it is retired nothing is made for it any more.
    encoder.refresh_from_db()
    JobPosting.objects.create(title="Bytte kran")
    if encoder.state == EncoderState.RETIRED:
        drain()
    call("retire_encoder", "next", yes=True)
    assert_gone(encoder)


@pytest.mark.parametrize("lock_timeout", ["10s", "200ms"])
def test_a_detaching_that_waits_keeps_nobody_out_and_is_finished(
    active: Encoder, encoder: Encoder, monkeypatch: Any, lock_timeout: str
) -> None:
    """It waits for a transaction that read the vectors: others read and write them meanwhile."""
    monkeypatch.setattr(partitions, "LOCK_TIMEOUT", 200)
    monkeypatch.setattr(partitions, "LOCK_ATTEMPTS", 1)
    reader, other = connections["default"].copy(), connections["default"].copy()
    try:
        with reader.cursor() as reading, other.cursor() as writing:
            reading.execute("BEGIN")
            reading.execute("SELECT count(*) FROM marketplace_ai_postingembedding")
            output = failed("retire_encoder", "next", yes=True)
            assert "run the command again" in output
            assert partitions._state(encoder) == (True, True)  # broken off
            writing.execute(f"SET lock_timeout = '{lock_timeout}'")
            writing.execute("UPDATE marketplace_ai_postingembedding SET text_digest = text_digest")
            assert writing.rowcount == 1
            reading.execute("COMMIT")
    finally:
        reader.close()
        other.close()
    monkeypatch.undo()
    call("retire_encoder", "next")
    assert_gone(encoder)
    assert len(vectors(active)) == 1


def test_a_row_that_a_host_deletes_is_waited_for_by_the_next_run(
    encoder: Encoder, monkeypatch: Any
) -> None:
    monkeypatch.setattr(retiring, "HELD_SECONDS", 0.01)
    monkeypatch.setattr(retiring, "HELD_ATTEMPTS", 2)
    host = connections["default"].copy()
    try:
        with host.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("DELETE FROM marketplace_ai_jobposting WHERE title = 'Klippe gress'")
            assert "run the command again" in failed("retire_encoder", "next", yes=True)
            cursor.execute("ROLLBACK")
    finally:
        host.close()
    call("retire_encoder", "next")
    assert_gone(encoder)


def test_a_step_of_its_backfill_that_comes_late_queues_nothing(encoder: Encoder) -> None:
    older(3)
    late = Encoder.objects.get(pk=encoder.pk)  # as a worker saw it before
    Encoder.objects.filter(pk=encoder.pk).update(state=EncoderState.RETIRED)
    QueuedPosting.objects.all().delete()
    scans.advance(late)
    assert not rows(encoder)


def test_writes_in_progress_are_waited_for(encoder: Encoder) -> None:
    """The state changes when whoever writes for it has ended."""
    import threading

    from marketplace_ai.queue import sql

    ended: list[str] = []
    writer = connections["default"].copy()

    def retire() -> None:
        try:
            retiring.retire(encoder)
            ended.append("retired")
        finally:
            connection.close()

    try:
        with writer.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute(
                sql.LOCK_ENCODER, {"encoder": encoder.pk, "states": ["ready", "building"]}
            )
            thread = threading.Thread(target=retire)
            thread.start()
            wait_for(_somebody_waits, lambda: "nobody waits")
            assert not ended
            cursor.execute("COMMIT")
        thread.join(30)
    finally:
        writer.close()
    assert ended == ["retired"]


def _somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


def test_a_bad_call_says_so() -> None:
    with pytest.raises(CommandError):
        call("retire_encoder")
