"""Texts that break the encoder harm only themselves, and people see them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.urls import reverse

from marketplace_ai.models import Decision, JobPosting, QueuedPosting
from marketplace_ai.queue.claim import LOST_ISOLATED
from tests.acceptance import ledger, workers
from tests.faults.postings import titles
from tests.faults.scale import scaled
from tests.faults_app import HANGS, KILLS, RAISES

pytestmark = pytest.mark.django_db(transaction=True)

ATTEMPTS = 2
POISON = (RAISES, KILLS, HANGS)


def test_only_poison_fails_and_can_be_retried(rng: random.Random, tmp_path: Path) -> None:
    url, good = workers.database(), titles(0, 61)
    texts = [*good, *POISON]
    rng.shuffle(texts)
    JobPosting.objects.bulk_create([JobPosting(title=text) for text in texts])
    environment = workers.environment(
        url, lease_seconds=1, encode_timeout=2, max_attempts=ATTEMPTS, claim_size=64
    )
    with workers.celery(tmp_path, environment, "--pool", "solo") as worker:
        worker.wait_for(
            lambda: ledger.queue(url) == ledger.Queue(0, 0, len(POISON)),
            "they do not fail",
            2 * workers.PATIENCE,  # its process begins anew a dozen times
        )
        encoded = worker.encoded()
        log = worker.log.read_text()
        assert "ended with code -9" in log
        assert "ended with code 70" in log

        # What the three cost themselves and the others: a batch and its splits once each, since
        # after a loss each is claimed in isolation.
        for text in texts:
            allowed = (1 if text in good else ATTEMPTS) + len(POISON) + len(texts).bit_length()
            assert encoded[workers.name(text)] <= allowed, text
        assert_seen_in_admin({RAISES: "ValueError", KILLS: LOST_ISOLATED, HANGS: LOST_ISOLATED})
        assert set(QueuedPosting.objects.values_list("attempts", flat=True)) == {ATTEMPTS}
        assert Decision.objects.count() == len(good)

        row = QueuedPosting.objects.get(posting__title=RAISES)
        retry(row)
        worker.wait_for(
            lambda: worker.encoded()[workers.name(RAISES)] > encoded[workers.name(RAISES)],
            "it is not retried",
        )
        # An edit brings a posting back by itself.
        for job in JobPosting.objects.filter(title__in=POISON):
            job.title = f"{good[0]} {job.pk}"
            job.save()
        worker.wait_for(
            lambda: ledger.queue(url) == ledger.Queue(0, 0, 0), "they are still marked failed"
        )
    ledger.assert_exactly_once(url, len(texts))


def moderator() -> Client:
    client = Client()
    user, _ = get_user_model().objects.get_or_create(
        username="moderator", is_staff=True, is_superuser=True
    )
    client.force_login(user)
    return client


def assert_seen_in_admin(errors: dict[str, str]) -> None:
    url = reverse("admin:marketplace_ai_queuedposting_changelist")
    page = moderator().get(url).content.decode()
    for text, error in errors.items():
        assert text in page
        assert error[:60] in page


def retry(row: QueuedPosting) -> None:
    url = reverse("admin:marketplace_ai_queuedposting_changelist")
    data = {"action": "retry", "_selected_action": [row.pk]}
    response = moderator().post(url, data, follow=True)
    assert "1 posting will be retried" in response.content.decode()


IMPATIENT = """
CREATE FUNCTION impatient() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN NEW.scheduled_at := now(); RETURN NEW; END $$;
CREATE TRIGGER impatient BEFORE UPDATE ON marketplace_ai_queuedposting
FOR EACH ROW EXECUTE FUNCTION impatient();
"""


@pytest.fixture
def impatient() -> Iterator[None]:
    """What has failed is due again at once."""
    with connection.cursor() as cursor:
        cursor.execute(IMPATIENT)
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION impatient CASCADE")


@pytest.mark.usefixtures("impatient")
def test_more_poison_than_a_batch_starves_nobody(tmp_path: Path) -> None:
    """All of it older than what is good, and always due."""
    url, count, good = workers.database(), 20, scaled(40, 1000)
    JobPosting.objects.bulk_create([JobPosting(title=f"{RAISES} {n}") for n in range(count)])
    environment = workers.environment(url, claim_size=8, max_attempts=30_000)
    with workers.queue_worker(tmp_path, environment) as worker:
        worker.wait_for(
            lambda: QueuedPosting.objects.filter(attempts__gt=0).count() == count,
            "the poison is not met",
        )
        JobPosting.objects.bulk_create([JobPosting(title=text) for text in titles(0, good)])
        worker.wait_for(lambda: Decision.objects.count() == good, "what is good starves")
        assert QueuedPosting.objects.remaining().count() == count


def test_memory_runs_out_for_long_batches_and_for_one_text(tmp_path: Path) -> None:
    """A batch is halved until it fits; a text that never fits fails on its own."""
    url, rounds = workers.database(), scaled(12, 200)
    greedy = JobPosting.objects.create(title="Male " * 60).pk
    environment = workers.environment(url, max_attempts=1, FAULTS_MEMORY=250)
    sizes: list[int] = []
    with workers.queue_worker(tmp_path, environment) as worker:
        for number in range(rounds):
            JobPosting.objects.bulk_create(
                [JobPosting(title=text) for text in titles(64 * number, 64)]
            )
            worker.wait_for(
                lambda: ledger.queue(url) == ledger.Queue(0, 0, 1), "the queue does not drain"
            )
            sizes.append(resident(worker.process.pid))
        assert len(worker.pids()) == 1
    # Not what a first batch takes once and for all, but what every further one would add.
    settled = sizes[len(sizes) // 3 :]
    assert max(settled) <= 1.05 * min(settled), settled
    row: Any = QueuedPosting.objects.get()
    assert row.posting_id == greedy
    assert "out of memory" in row.last_error
    assert Decision.objects.filter(is_current=True).count() == 64 * rounds
    JobPosting.objects.filter(pk=greedy).delete()
    ledger.assert_exactly_once(url, 64 * rounds)


def resident(pid: int) -> int:
    """Memory of a process, in kB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    raise AssertionError(pid)
