"""A category is deleted while workers give it to postings: each of these is decided again."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.db import IntegrityError, connection, transaction

from marketplace_ai.models import Category, Decision, JobPosting, Outcome
from tests.acceptance import ledger, workers
from tests.faults.postings import create, settled
from tests.faults.scale import scaled

pytestmark = pytest.mark.django_db(transaction=True)


def delete(category: Category) -> None:
    """As a project does by SQL; again where its own key refuses, as a worker has just used it."""
    while Category.objects.filter(pk=category.pk).exists():
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(
                    "UPDATE marketplace_ai_jobposting SET category_id = NULL "
                    "WHERE category_id = %s",
                    [category.pk],
                )
                cursor.execute("DELETE FROM marketplace_ai_category WHERE id = %s", [category.pk])
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        except IntegrityError:
            continue


def test_workers_decide_again_what_a_deleted_category_had(
    catalog: dict[str, Category], tmp_path: Path
) -> None:
    url, maling = workers.database(), catalog["maling"]
    each = scaled(40, 400)
    environment = workers.environment(url, claim_size=20, poll_interval_seconds=0.05)
    automatic = Decision.objects.filter(outcome=Outcome.AUTOMATIC, category=maling)
    with (
        workers.queue_worker(tmp_path / "one", environment) as worker,
        workers.queue_worker(tmp_path / "two", environment),
    ):
        count = create(0, each)
        worker.wait_for(lambda: automatic.count() >= 10, "the category is given to none")
        had = set(automatic.values_list("posting_id", flat=True))
        delete(maling)
        count += create(count, each)
        worker.wait_for(lambda: settled(url), "the queue is not worked off")
    ledger.assert_exactly_once(url, count)
    assert not Decision.objects.orphaned().exists()
    again = Decision.objects.filter(posting__in=had)
    assert again.filter(is_current=False, category_key="maling").count() == len(had)
    assert again.filter(is_current=True).exclude(category_key="maling").count() == len(had)
    assert not JobPosting.objects.filter(category=None, category_set_by="machine").exists()
