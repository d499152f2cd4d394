"""Whatever dies or freezes, every posting is decided exactly once."""

from __future__ import annotations

import os
import random
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from marketplace_ai.models import Decision, JobPosting, Outcome
from tests.acceptance import ledger, workers
from tests.faults.postings import create, settled, waiting
from tests.faults.scale import scaled
from tests.faults_app import fates, points

pytestmark = pytest.mark.django_db(transaction=True)


def test_workers_killed_at_any_point(rng: random.Random, tmp_path: Path) -> None:
    """A kill at every point of a batch first, then at seeded ones and at seeded times."""
    url = workers.database()
    kills = scaled(4, 30)
    doom = [(point, 1, signal.SIGKILL) for point in points.POINTS]
    rng.shuffle(doom)
    while len(doom) < kills:
        point = rng.choice([*points.POINTS, fates.CLOCK])
        passes = rng.randint(0, 150) if point == fates.CLOCK else rng.randint(1, 6)
        doom.append((point, passes, signal.SIGKILL))
    folder = fates.write(tmp_path / "fates", doom)
    environment = workers.environment(
        url, lease_seconds=3600, FAULTS_SECONDS=0.003, FAULTS_FATES=str(folder)
    )
    postings = 0
    with ExitStack() as stack:
        both = [
            stack.enter_context(workers.celery(tmp_path / name, environment, "--pool", "solo"))
            for name in ("a", "b")
        ]

        # As long as one is still to die there is something to die of.
        def fed() -> bool:
            nonlocal postings
            if fates.left(folder) and waiting(url) < 100:
                postings += create(postings, each=scaled(10, 20))
            return not fates.left(folder) and settled(url)

        both[0].wait_for(fed, "the queue does not drain", workers.PATIENCE + 10 * kills)
        killed = sum(worker.log.read_text().count("ended with code -9") for worker in both)
        assert killed >= kills - len(both)
    ledger.assert_exactly_once(url, postings)
    assert Decision.objects.filter(is_current=True, outcome=Outcome.AUTOMATIC).exists()


def test_redis_dies_too_while_postings_are_edited_and_deleted(tmp_path: Path) -> None:
    url = workers.database()
    with workers.redis(tmp_path) as redis:
        environment = workers.environment(url, redis.url(), FAULTS_SECONDS=0.01)
        with workers.celery(tmp_path, environment) as worker:
            postings = create(0)
            first, _ = worker.wait_for_batch()
            redis.kill()
            os.kill(first, signal.SIGKILL)
            postings += create(postings, each=5)
            worker.wait_for(
                lambda: worker.pids("process_pending") not in ([], [first]), "it is not respawned"
            )
            redis.start()
            JobPosting.objects.filter(pk__in=JobPosting.objects.order_by("pk")[:20]).update(
                title="Male noe helt annet"
            )
            gone = JobPosting.objects.order_by("-pk")[:15].values_list("pk", flat=True)
            postings -= JobPosting.objects.filter(pk__in=list(gone)).delete()[0]
            worker.wait_for(lambda: settled(url), "the queue does not drain")
    ledger.assert_exactly_once(url, postings)


def test_a_dead_workers_postings_are_free_before_its_lease_is_over(tmp_path: Path) -> None:
    url = workers.database()
    environment = workers.environment(url, lease_seconds=3600, FAULTS_SECONDS=0.01)
    with (
        workers.queue_worker(tmp_path, environment) as victim,
        workers.queue_worker(tmp_path / "other", environment) as other,
    ):
        other.kill(signal.SIGSTOP)  # else it may have claimed all of them
        postings = create(0)
        victim.wait_for_batch()
        victim.kill()
        other.kill(signal.SIGCONT)
        other.wait_for(lambda: settled(url), "the dead worker's postings are not taken over")
    ledger.assert_exactly_once(url, postings)


@pytest.mark.parametrize("point", scaled(points.POINTS[1:3], points.POINTS))
def test_a_frozen_workers_late_write_is_fenced_off(point: str, tmp_path: Path) -> None:
    """Frozen at any point; once it is open in a transaction, the database ends that (15 s)."""
    url = workers.database()
    folder = fates.write(tmp_path / "fates", [(point, 1, signal.SIGSTOP)])
    environment = workers.environment(url, lease_seconds=1, FAULTS_SECONDS=0.01)
    doomed = {**environment, "FAULTS_FATES": str(folder)}
    with workers.queue_worker(tmp_path, doomed) as frozen:
        postings = create(0, each=2)
        frozen.wait_for(lambda: is_stopped(frozen.process.pid), "it does not freeze")
        with workers.queue_worker(tmp_path / "other", environment) as other:
            other.wait_for(lambda: settled(url), "the frozen worker's postings are not taken over")
            decided = set(Decision.objects.values_list("pk", flat=True))
            frozen.kill(signal.SIGCONT)
            # When it has decided something new, it is through with what it was frozen in.
            postings += create(postings, each=2)
            other.wait_for(lambda: settled(url), "they do not finish")
            other.kill(signal.SIGSTOP)
            postings += create(postings, each=2)
            frozen.wait_for(lambda: settled(url), "the thawed worker does not go on")
    ledger.assert_exactly_once(url, postings)
    assert decided <= set(Decision.objects.values_list("pk", flat=True))


def is_stopped(pid: int) -> bool:
    state: Any = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return bool(state == "T")
