"""What a worker does, in the test's own process, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from marketplace_ai.fitting import fit_classifier
from marketplace_ai.models import (
    Category,
    Decision,
    JobPosting,
    Outcome,
)
from marketplace_ai.queue.heartbeat import Heartbeat
from marketplace_ai.queue.lease import Liveness
from marketplace_ai.serving.active_model import ActiveModel, ModelLoader
from marketplace_ai.worker.loop import Worker
from tests.inline import Inline


def fit() -> None:
    fit_classifier.fit(progress=lambda n: None)


def drain(models: ModelLoader | None = None) -> None:
    """Turn after turn while there is work; a row that waits for another attempt stays."""
    queue_worker = Worker(models or ModelLoader(), executor=Inline())
    try:
        for _ in range(30):
            if not queue_worker.run_once():
                return
        raise AssertionError("the queue does not drain")
    finally:
        queue_worker.close()


@contextmanager
def idle_worker() -> Iterator[None]:
    """What others see of a worker: its lock and its heartbeat."""
    liveness, heartbeat = Liveness(), Heartbeat()
    heartbeat.beat(liveness.acquire())
    try:
        yield
    finally:
        heartbeat.end()
        liveness.close()


def current(job: JobPosting) -> Decision:
    return Decision.objects.get(posting=job, is_current=True)


def automatic(monkeypatch: Any, category: Category | None, outcome: Outcome) -> None:
    """Have the classifier say one thing, to test what is made of it."""
    from marketplace_ai.queue.proposal import Proposal

    proposal = Proposal(outcome, category.pk if category else None, 0.99, 0.9)
    monkeypatch.setattr(
        ActiveModel, "propose", lambda self, texts, vectors: [proposal] * len(texts)
    )
