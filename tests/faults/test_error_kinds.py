"""Errors of the server, raised at each place of the loop: some pass, some are one posting's own."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection
from psycopg.sql import SQL, Identifier

from marketplace_ai.db.error_kind import CLASSES, CODES, ErrorKind
from marketplace_ai.encoders import partitions
from marketplace_ai.models import Decision, Encoder, JobPosting, Outcome, QueuedPosting
from marketplace_ai.serving.active_model import ModelLoader
from marketplace_ai.worker.loop import Worker
from tests.acceptance import ledger, workers
from tests.faults.postings import settled, titles
from tests.faults.scale import scaled
from tests.inline import Inline

pytestmark = pytest.mark.django_db(transaction=True)

#: Where a project's trigger, or the server, may refuse a statement of ours.
PLACES = {
    "decision": ("INSERT", "marketplace_ai_decision", "NEW.posting_id"),
    "category": ("UPDATE", "marketplace_ai_jobposting", "NEW.id"),
    "vector": ("INSERT", "{vectors}", "NEW.posting_id"),
    "queue": ("INSERT", "marketplace_ai_queuedposting", "NEW.posting_id"),
}
#: In an intake nobody can be blamed, whatever the error: it is tried again.
BLAMELESS = "queue"
GOOD = 8
PARENT = "marketplace_ai_postingembedding"
#: Of a session that a read-only database does not concern.
WRITES = "-c default_transaction_read_only=off"


def vectors() -> tuple[int, str]:
    """The active encoder's id, and the partition of its vectors."""
    encoder = Encoder.objects.active()
    assert encoder is not None
    return encoder.pk, partitions.name(encoder)


@contextmanager
def refused(place: str, posting: int | None, code: str, message: str = "no") -> Iterator[None]:
    """The server refuses this posting (None: every one) at this place."""
    event, table, key = PLACES[place]
    with connection.cursor() as cursor:
        table = table.format(vectors=vectors()[1])
        condition = "true" if posting is None else f"{key} = {posting}"
        cursor.execute(
            f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF {condition}"
            f" THEN RAISE EXCEPTION '{message}' USING ERRCODE = '{code}', DETAIL = 'SECRET ROW';"
            " END IF; RETURN NEW; END $$;"
            f"CREATE TRIGGER refuse BEFORE {event} ON {table} FOR EACH ROW"
            " EXECUTE FUNCTION refuse()"
        )
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION refuse CASCADE")


def work(models: ModelLoader, done: Callable[[], bool], pauses: int = 60) -> bool:
    """The loop in this process, whose pauses are over at once, until ``done``; whether it was."""
    worker = Worker(models, executor=Inline())
    left = [pauses]

    def wait(seconds: float, how: Any) -> None:
        left[0] -= 1
        if left[0] < 0 or done():
            worker.stop()
        QueuedPosting.objects.filter(token=None).update(scheduled_at="2026-01-01T00:00Z")

    worker._wait = wait  # type: ignore[method-assign]
    worker.run()
    return done()


def automatic(models: ModelLoader, texts: list[str]) -> list[bool]:
    """Whether the active model tags each text by itself: not every title with "Male" in it."""
    model = models.refresh()
    proposals = model.propose(texts, list(model.text_encoder.encode(texts)))
    return [proposal.outcome is Outcome.AUTOMATIC for proposal in proposals]


def codes() -> list[str]:
    """One of every class, and those that differ from theirs."""
    # A trigger cannot raise "success".
    return sorted({f"{c}001" for c in CLASSES if c != "00"} | CODES.keys() | {"25006", "U1234"})


@pytest.mark.parametrize("place", PLACES)
def test_each_kind_of_error_at_each_place(rng: random.Random, place: str) -> None:
    """Nobody is blamed for infrastructure or set-up; a posting's own fault fails it alone; when
    the cause is gone, each posting is decided once."""
    models = ModelLoader()
    work(models, lambda: True)
    for number, code in enumerate(rng.sample(codes(), scaled(8, len(codes())))):
        JobPosting.objects.all().delete()
        kind = CODES.get(code) or CLASSES.get(code[:2], ErrorKind.POSTING)
        jobs = [JobPosting.objects.create(title=t) for t in titles(100 * number, GOOD + 1)]
        # One of those whose category is written: the other places take any.
        tagged = automatic(models, [job.title for job in jobs])
        bad = rng.choice([job for job, is_tagged in zip(jobs, tagged, strict=True) if is_tagged]).pk

        def good_decided(bad: int = bad) -> bool:
            return Decision.objects.exclude(posting=bad).count() == GOOD

        def failed() -> bool:
            return QueuedPosting.objects.failed().exists()

        rows = QueuedPosting.objects.filter(posting=bad)
        with refused(place, bad, code):
            if place == BLAMELESS:
                work(models, lambda: False, pauses=3)
            elif kind is ErrorKind.POSTING:
                assert work(models, lambda: failed() and good_decided()), (code, place)
                assert f"SQLSTATE {code}" in rows.get().last_error
                assert "SECRET" not in rows.get().last_error
            elif kind is ErrorKind.SETUP:
                assert work(models, good_decided), (code, place)
            else:
                work(models, good_decided, pauses=12)
            blamed = QueuedPosting.objects.filter(attempts__gt=0)
            expected = {bad} if kind is ErrorKind.POSTING and place != BLAMELESS else set()
            assert set(blamed.values_list("posting_id", flat=True)) == expected, (code, place)
        QueuedPosting.objects.update(failed_at=None, attempts=0)
        everything = len(jobs)
        assert work(models, lambda n=everything: Decision.objects.count() == n), (code, place)  # type: ignore[misc]
        assert not QueuedPosting.objects.exists(), (code, place)


def doctor() -> dict[str, str]:
    """The findings that fail, by their name."""
    out = StringIO()
    with suppress(SystemExit):
        call_command("doctor", "--json", stdout=out)
    found: dict[str, str] = {}
    for finding in json.loads(out.getvalue())["findings"]:
        if not finding["ok"]:
            text = f"{finding['message']} {finding['cure']}"
            found[finding["name"]] = found.get(finding["name"], "") + text
    return found


def test_a_posting_that_the_projects_trigger_refuses_fails_alone(tmp_path: Path) -> None:
    url = workers.database()
    jobs = [JobPosting.objects.create(title=text) for text in titles(0, 20)]
    environment = workers.environment(url, max_attempts=1)
    with workers.queue_worker(tmp_path, environment) as worker:
        worker.wait_for(lambda: settled(url), "nothing is decided")
        with refused("decision", None, "P0001", "host says no"):
            extra = JobPosting.objects.create(title="Male gjerde")
            worker.wait_for(lambda: QueuedPosting.objects.failed().exists(), "it is not found")
        more = [JobPosting.objects.create(title=text) for text in titles(40, 5)]
        worker.wait_for(
            lambda: Decision.objects.count() == len(jobs) + len(more), "others wait for it"
        )
        assert QueuedPosting.objects.get().posting_id == extra.pk
        assert QueuedPosting.objects.get().last_error == "host says no (SQLSTATE P0001)"
        assert "SECRET" not in worker.text()
        assert "Traceback" not in worker.text()


def test_a_mistake_in_the_setup_is_named_counts_for_nobody_and_is_mended(tmp_path: Path) -> None:
    url, count = workers.database(), 30
    environment = workers.environment(url, max_attempts=1)
    with workers.queue_worker(tmp_path, environment) as worker:
        JobPosting.objects.create(title="Male bod")
        worker.wait_for(lambda: settled(url), "nothing is decided")
        with refused("decision", None, "42501", "permission denied for table decision"):
            for text in titles(0, count):
                JobPosting.objects.create(title=text)
            worker.wait_for(lambda: "permission denied" in doctor().get("worker", ""), "not named")
            found = doctor()
            assert "Grant the workers' database role" in found["worker"]
            assert "No worker is running" not in found["worker"]
            assert "permission denied" in found["set-up"]
            assert not QueuedPosting.objects.filter(attempts__gt=0).exists()
        worker.wait_for(
            lambda: Decision.objects.count() == count + 1, "it does not go on by itself"
        )
        worker.wait_for(lambda: "worker" not in doctor(), "doctor still complains")
        assert "Traceback" not in worker.text()
    ledger.assert_exactly_once(url, count + 1)


def test_a_read_only_database_is_waited_for(tmp_path: Path) -> None:
    url = workers.database()
    environment = workers.environment(url, max_attempts=1)
    name = Identifier(connection.settings_dict["NAME"])
    with (
        workers.queue_worker(tmp_path, environment) as worker,
        psycopg.connect(url, autocommit=True, options=WRITES) as own,
    ):
        JobPosting.objects.create(title="Male bod")
        worker.wait_for(lambda: settled(url), "nothing is decided")
        alter = SQL("ALTER DATABASE {} ").format(name)
        own.execute(alter + SQL("SET default_transaction_read_only = on"))
        try:
            own.execute("INSERT INTO marketplace_ai_jobposting (title) SELECT 'Male ' || n"
                        " FROM generate_series(1, 20) AS n")  # fmt: skip
            own.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            worker.wait_for(lambda: "25006" in worker.log.read_text(), "it is not refused")
            connection.close()
            assert "takes no writes" in doctor()["database"]
        finally:
            own.execute(alter + SQL("RESET default_transaction_read_only"))
            connection.close()
        worker.wait_for(lambda: settled(url), "it does not go on by itself")
        assert len(worker.pids()) == 1
        assert "Traceback" not in worker.log.read_text()
    ledger.assert_exactly_once(url, 21)


def test_a_missing_partition_is_nobodys_fault(tmp_path: Path) -> None:
    url, count = workers.database(), 12
    with workers.queue_worker(tmp_path, workers.environment(url, max_attempts=1)) as worker:
        JobPosting.objects.create(title="Male bod")
        worker.wait_for(lambda: settled(url), "nothing is decided")
        with connection.cursor() as cursor:
            encoder, partition = vectors()
            cursor.execute(
                f"ALTER TABLE marketplace_ai_postingembedding DETACH PARTITION {partition}"
            )
        for text in titles(0, count):
            JobPosting.objects.create(title=text)
        worker.wait_for(
            lambda: "no partition of relation" in doctor().get("set-up", ""), "not named"
        )
        assert "A partition is missing" in doctor()["set-up"]
        assert not QueuedPosting.objects.filter(attempts__gt=0).exists()
        with connection.cursor() as cursor:
            cursor.execute(
                f"ALTER TABLE {PARENT} ATTACH PARTITION {partition} FOR VALUES IN ({encoder})"
            )
        worker.wait_for(lambda: settled(url), "it does not go on by itself")
    ledger.assert_exactly_once(url, count + 1)
