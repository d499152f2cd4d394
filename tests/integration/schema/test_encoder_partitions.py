"""The partition of each encoder is there from its registration to its retirement."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import ProgrammingError, connection

from marketplace_ai.encoders import active, partitions, retire
from marketplace_ai.models import Encoder, EncoderState, JobPosting, PostingEmbedding, QueuedPosting
from marketplace_ai.schema import encoder_partitions
from marketplace_ai.schema.differences import differences
from tests.integration.encoders.factories import candidate
from tests.integration.worker_runs import drain

pytestmark = pytest.mark.django_db


@pytest.fixture
def encoder(db: Any) -> Encoder:
    return active.ensure_active()[0]


def run(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


@pytest.mark.django_db(transaction=True)
def test_nothing_differs_when_an_encoder_is_registered_and_retired() -> None:
    active.ensure_active()
    second = candidate()
    assert differences() == []
    assert partitions.exists(second)
    retire.retire(second)
    assert not partitions.exists(second)
    assert differences() == []


def test_a_worker_makes_those_that_are_missing(encoder: Encoder, posting: JobPosting) -> None:
    """Of the active encoder and of a candidate; no posting is blamed."""
    second = candidate()
    for each in (encoder, second):
        run(f"DROP TABLE {partitions.name(each)}")
    assert encoder_partitions.missing() == [encoder, second]
    drain()
    stored = PostingEmbedding.objects.filter(posting=posting)
    assert set(stored.values_list("encoder_id", flat=True)) == {encoder.pk, second.pk}
    assert not QueuedPosting.objects.exists()
    assert differences() == []


def test_a_retired_encoder_gets_none(encoder: Encoder) -> None:
    second = candidate()
    Encoder.objects.filter(pk=second.pk).update(state=EncoderState.RETIRED)
    run(f"DROP TABLE {partitions.name(second)}")
    assert encoder_partitions.missing() == []
    assert not encoder_partitions.ensure(second)  # as a worker that has not heard of it
    assert not partitions.exists(second)


def test_a_role_that_may_not_make_tables_names_the_right(encoder: Encoder) -> None:
    run(f"DROP TABLE {partitions.name(encoder)}")
    run("CREATE ROLE worker_only")
    run("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO worker_only")
    run("SET LOCAL ROLE worker_only")
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
        active.ensure_active()
