"""The search index of postings: built during work, once, and again where that was interrupted."""

from __future__ import annotations

import threading
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections

from marketplace_ai.db import advisory_locks
from marketplace_ai.doctor.diagnose import examine
from marketplace_ai.encoders import active, partitions, search_index
from marketplace_ai.encoders.search_index import State
from marketplace_ai.models import Encoder, JobPosting, PostingEmbedding
from tests.integration.worker_runs import drain

pytestmark = pytest.mark.django_db(transaction=True)

NEAREST = """
SELECT posting_id FROM {table}
ORDER BY (vector::halfvec({dimension})) <=> %s::halfvec({dimension}) LIMIT 1
"""


@pytest.fixture
def encoder(db: None) -> Encoder:
    return active.ensure_active()[0]


def broken_off(encoder: Encoder) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass",
            [search_index.name(encoder)],
        )


def finding() -> Any:
    return {found.name: found for found in examine()}["search index"]


def test_it_is_built_once_and_rebuilt_where_it_was_interrupted(encoder: Encoder) -> None:
    assert search_index.state(encoder) == State.MISSING
    assert search_index.build_search_index(encoder)
    assert search_index.state(encoder) == State.READY
    assert not search_index.build_search_index(encoder)
    broken_off(encoder)
    assert search_index.state(encoder) == State.BROKEN_OFF
    assert search_index.build_search_index(encoder)
    assert search_index.state(encoder) == State.READY


def test_the_nearest_postings_come_by_the_index(encoder: Encoder) -> None:
    JobPosting.objects.bulk_create([JobPosting(title=f"Male rom {n}") for n in range(50)])
    drain()
    search_index.build_search_index(encoder)
    job = PostingEmbedding.objects.order_by("posting_id")[7]
    statement = NEAREST.format(table=partitions.name(encoder), dimension=encoder.dimension)
    vector = str(list(job.vector))
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        cursor.execute(f"EXPLAIN {statement}", [vector])
        plan = "\n".join(row[0] for row in cursor.fetchall())
        cursor.execute(statement, [vector])
        assert cursor.fetchone() == (job.posting_id,)
        cursor.execute("RESET enable_seqscan")
    assert search_index.name(encoder) in plan


def test_vectors_are_written_while_it_waits_for_an_older_transaction(encoder: Encoder) -> None:
    """It is at work from the moment it is asked for, and nobody waits for it."""
    reader = connections["default"].copy()
    with reader.cursor() as cursor:
        cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("SELECT 1 FROM marketplace_ai_postingembedding")
    outcome: list[bool] = []

    def build() -> None:
        try:
            outcome.append(search_index.build_search_index(encoder))
        finally:
            connections.close_all()

    builder = threading.Thread(target=build)
    builder.start()
    try:
        while search_index.state(encoder) != State.BUILDING:
            assert builder.is_alive()
        assert finding().message.endswith("is being built.")
        # A second builder leaves the first one's work alone.
        assert not search_index.build_search_index(encoder)
        JobPosting.objects.create(title="Male stue")
        drain()
        assert PostingEmbedding.objects.count() == 1
        assert builder.is_alive()
    finally:
        reader.close()
        builder.join()
    assert outcome == [True]
    assert search_index.state(encoder) == State.READY


def test_vectors_lie_in_line_before_the_first_one_comes(encoder: Encoder) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attstorage FROM pg_attribute "
            "WHERE attrelid = %s::regclass AND attname = 'vector'",
            [partitions.name(encoder)],
        )
        assert cursor.fetchone() == ("p",)


def test_doctor_says_when_it_is_missing_and_the_command_builds_it(encoder: Encoder) -> None:
    assert "build_search_index" in finding().cure
    out = StringIO()
    call_command("build_search_index", stdout=out)
    assert "is built" in out.getvalue()
    assert finding().cure == ""
    broken_off(encoder)
    assert "broken off" in finding().message
    call_command("build_search_index", encoder=encoder.name, stdout=out)
    assert search_index.state(encoder) == State.READY


@pytest.mark.parametrize(
    ("change", "said"), [({"name": "nobody"}, "no encoder"), ({"dimension": 4001}, "4000 at most")]
)
def test_what_cannot_be_built_is_said(encoder: Encoder, change: Any, said: str) -> None:
    wanted = change.pop("name", encoder.name)
    Encoder.objects.update(**change) if change else None
    with pytest.raises(CommandError, match=said) as refused:
        call_command("build_search_index", encoder=wanted)
    assert refused.value.returncode == 2


def test_a_lock_that_a_pooler_left_behind_is_named(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pooler in transaction mode leaves a session's lock with a session of its own."""
    pooled = connections.create_connection("default")
    try:
        with pooled.cursor() as cursor:
            cursor.execute(
                f"SELECT pg_advisory_lock(%s, {advisory_locks.OBJECT}), pg_backend_pid()",
                [advisory_locks.SEARCH_INDEX_BUILD, encoder.pk],
            )
            holder = cursor.fetchone()[1]
        # As between two statements of a builder.
        assert search_index.state(encoder) == State.BUILDING
        assert not search_index.build_search_index(encoder)
        monkeypatch.setattr(search_index, "FORGOTTEN_SECONDS", 0.0)
        assert search_index.state(encoder) == State.MISSING
        with pytest.raises(CommandError, match=rf"pg_terminate_backend\({holder}\)"):
            call_command("build_search_index")
        with pooled.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock_all()")
    finally:
        pooled.close()
    assert search_index.build_search_index(encoder)
