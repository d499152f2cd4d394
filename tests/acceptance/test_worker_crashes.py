"""Whatever dies or freezes, every posting is decided exactly once."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from django.db import connection

from marketplace_ai.lifecycle import fitting
from marketplace_ai.models import Decision, JobPosting, Outcome, PendingJob
from tests.acceptance import ledger, workers

pytestmark = pytest.mark.django_db(transaction=True)

TITLES = ["Male stue nummer {}", "Klippe gress hos nr {}", "Bytte kran i {}. etasje", "Hei {}"]


@pytest.fixture
def automatic(exemplars: None) -> None:
    """A classifier that asks for little, so that categories are written, too."""
    labelled = [(text, "maling") for text in ("Male kjøkken", "Male bod", "Maling av gjerde")]
    keys = {text: fitting.categories_by_key()[key].pk for text, key in labelled}
    fitting.fit(
        [(text, str(key)) for text, key in keys.items()],
        target_precision=0.1,
        confidence=0.5,
        progress=lambda n: None,
    )


def create(first: int, each: int = 40) -> int:
    """Postings in each of the ways a host may write them; how many."""
    texts = [TITLES[n % len(TITLES)].format(n) for n in range(first, first + 4 * each)]
    for title in texts[:each]:
        JobPosting.objects.create(title=title)
    JobPosting.objects.bulk_create([JobPosting(title=t) for t in texts[each : 2 * each]])
    with connection.cursor() as cursor:
        with cursor.copy("COPY marketplace_ai_jobposting (title) FROM STDIN") as copy:
            for title in texts[2 * each : 3 * each]:
                copy.write_row([title])
        cursor.execute(
            "INSERT INTO marketplace_ai_jobposting (title) SELECT unnest(%s::text[])",
            [texts[3 * each :]],
        )
    return len(texts)


def settled(url: str) -> bool:
    return ledger.queue(url).settled


def test_workers_and_redis_die_and_every_posting_is_decided_once(
    automatic: None, tmp_path: Path
) -> None:
    url = workers.database()
    postings = 0
    with workers.redis(tmp_path) as redis:
        environment = workers.environment(url, redis.url(), FAULTS_SECONDS=0.01)
        kills = 0
        while kills < 3:
            postings += create(postings)
            if kills == 1:
                redis.kill()
                postings += create(postings, each=5)
            with workers.celery(tmp_path, environment) as worker:
                worker.wait_for_batch()
                worker.kill()
                worker.end()
                # A batch that ended just before the signal does not count.
                _pid, what, _texts = worker.batches()[-1]
                kills += what == "begin"
            assert PendingJob.objects.due().exists()
        with workers.celery(tmp_path, environment) as worker:
            postings += create(postings)
            redis.start()
            first, _ = worker.wait_for_batch()
            os.kill(first, signal.SIGKILL)
            worker.wait_for(
                lambda: worker.pids("process_pending") not in ([], [first]), "it is not respawned"
            )
            JobPosting.objects.filter(pk__in=JobPosting.objects.order_by("pk")[:20]).update(
                title="Male noe helt annet"
            )
            gone = JobPosting.objects.order_by("-pk")[:15].values_list("pk", flat=True)
            postings -= JobPosting.objects.filter(pk__in=list(gone)).delete()[0]
            worker.wait_for(lambda: settled(url), "the queue does not drain")
    ledger.assert_exactly_once(url, postings)
    assert Decision.objects.filter(current=True, outcome=Outcome.AUTOMATIC).exists()


def test_a_dead_workers_postings_are_free_before_its_lease_is_over(
    db: None, tmp_path: Path
) -> None:
    url = workers.database()
    environment = workers.environment(url, lease_seconds=3600, FAULTS_SECONDS=0.01)
    with (
        workers.drainer(tmp_path, environment) as victim,
        workers.drainer(tmp_path / "other", environment) as other,
    ):
        postings = create(0)
        victim.wait_for_batch()
        victim.kill()
        other.wait_for(lambda: settled(url), "the dead worker's postings are not taken over")
    ledger.assert_exactly_once(url, postings)


def test_a_frozen_workers_late_write_is_fenced_off(db: None, tmp_path: Path) -> None:
    url = workers.database()
    environment = workers.environment(url, lease_seconds=1, FAULTS_SECONDS=0.2)
    with workers.drainer(tmp_path, environment) as frozen:
        postings = create(0, each=2)
        _, texts = frozen.wait_for_batch()
        frozen.kill(signal.SIGSTOP)
        assert PendingJob.objects.filter(token__isnull=False).count() == texts
        with workers.drainer(tmp_path / "other", environment) as other:
            # What the frozen one still takes for its own lies free or in the other's hands.
            other.wait_for(
                lambda: other.in_batch(least=1) is not None,
                "the frozen worker's postings are not taken over",
            )
            frozen.kill(signal.SIGCONT)
            other.wait_for(lambda: settled(url), "they do not finish")
        assert (frozen.process.pid, "end", texts) in frozen.batches()
    ledger.assert_exactly_once(url, postings)
