"""A publication FOR ALL TABLES (logical replication, Debezium, blue/green) stops nothing."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from marketplace_ai.encoders import active, partitions
from marketplace_ai.models import (
    Category,
    Decision,
    Encoder,
    JobPosting,
    PostingChange,
    PostingEmbedding,
    QueuedPosting,
)
from marketplace_ai.serving.active_model import ModelLoader
from tests.integration.worker_runs import drain

pytestmark = pytest.mark.django_db


@pytest.fixture(params=[False, True], ids=["by partition", "by root"])
def publication(request: pytest.FixtureRequest, db: Any) -> None:
    root = str(request.param).lower()
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE PUBLICATION everything FOR ALL TABLES "
            f"WITH (publish_via_partition_root = {root})"
        )


def test_postings_are_decided_edited_and_deleted(
    publication: None, fitted: None, posting: JobPosting
) -> None:
    assert PostingChange.objects.exists()
    drain(ModelLoader())  # makes a partition where there was none
    assert not PostingChange.objects.exists()
    assert not QueuedPosting.objects.exists()
    assert Decision.objects.current().filter(posting=posting).count() == 1

    posting.title = "Bytte kran"
    posting.save()
    drain(ModelLoader())
    assert PostingEmbedding.objects.filter(posting=posting).count() == 1
    assert Decision.objects.filter(posting=posting).count() == 2

    posting.delete()
    assert not PostingEmbedding.objects.exists()
    assert not Decision.objects.exists()
    Category.objects.filter(slug="plen").delete()


def test_a_candidate_that_is_registered_later(
    publication: None, fitted: None, posting: JobPosting
) -> None:
    drain(ModelLoader())
    first, loaded = active.ensure_active()
    second = Encoder.objects.create(
        name="second", source="dummy", dimension=loaded.dimension, max_tokens=8, dtype="float32"
    )
    partitions.create(second)
    vector = PostingEmbedding.objects.get(encoder=first).vector
    PostingEmbedding.objects.create(
        posting=posting, encoder=second, vector=vector, text_digest=b"x"
    )
    posting.delete()
    assert not PostingEmbedding.objects.exists()
