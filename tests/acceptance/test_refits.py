"""New versions become active under a running worker, and only the decisions change."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from marketplace_ai.fitting import fit_classifier
from marketplace_ai.models import (
    ClassifierVersion,
    Decision,
    ExemplarGeneration,
    JobPosting,
)
from marketplace_ai.versions import activation
from tests.acceptance import ledger, workers

pytestmark = pytest.mark.django_db(transaction=True)

REFITS = 3


@pytest.fixture
def counter(transactional_db: None) -> None:
    """A test before this one has emptied all tables, the counter's row with them."""
    ExemplarGeneration.objects.get_or_create(pk=1)


def fit() -> ClassifierVersion:
    return fit_classifier.fit(progress=lambda n: None)


def create(name: str) -> None:
    JobPosting.objects.bulk_create([JobPosting(title=f"Male {name} {n}") for n in range(60)])


def test_a_stream_is_decided_once_while_versions_come_and_one_is_damaged(
    counter: None, exemplars: None, tmp_path: Path, monkeypatch: Any
) -> None:
    # What waits for review is not decided again here: each posting once.
    monkeypatch.setattr(activation, "requeue_reviews", lambda: 0)
    url = workers.database()
    served = [fit()]
    environment = workers.environment(url, claim_size=10, FAULTS_SECONDS=0.01)
    with workers.celery(tmp_path, environment) as worker:
        create("rom")
        worker.wait_for_batch()
        for number in range(REFITS):
            served.append(fit())
            create(f"bod {number}")
            decided = Decision.objects.filter(classifier=served[-1])
            worker.wait_for(decided.exists, "no decision by the new version")
        cut = bytes(served[-1].artifact)[:-1]
        damaged = ClassifierVersion.objects.get(pk=served[-1].pk)
        damaged.pk, damaged.is_active, damaged.artifact = None, False, cut
        damaged.save()
        activation.set_active(damaged)
        create("etter")
        worker.wait_for(lambda: ledger.queue(url).settled, "the queue does not drain")
        assert f"Classifier version {damaged.pk} cannot be used" in worker.log.read_text()
    ledger.assert_exactly_once(url, 60 * (REFITS + 2))
    decisions = list(Decision.objects.order_by("pk").select_related("classifier"))
    assert all(decision.probability is not None for decision in decisions)
    by = [decision.classifier for decision in decisions]
    # One worker: it follows each new version and never falls back to an older one.
    assert all(before.pk <= after.pk for before, after in pairwise(by))
    assert {version.pk for version in by} == {version.pk for version in served}
    assert all(
        version.activated_at <= d.decided_at for d, version in zip(decisions, by, strict=True)
    )
