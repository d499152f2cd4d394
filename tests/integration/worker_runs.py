"""What a worker does, in the test's own process, and what came of it."""

from __future__ import annotations

from typing import Any

from marketplace_ai.fitting import fit_classifier
from marketplace_ai.models import (
    Category,
    Decision,
    JobPosting,
    Outcome,
)
from marketplace_ai.serving.pipeline import Pipeline
from marketplace_ai.worker.loop import Drainer
from tests.inline import Inline


def fit() -> None:
    fit_classifier.fit([], progress=lambda n: None)


def drain(pipeline: Pipeline | None = None) -> None:
    """Turn after turn while there is work; a row that waits for another attempt stays."""
    drainer = Drainer(pipeline or Pipeline(), executor=Inline())
    try:
        for _ in range(30):
            if not drainer.turn():
                return
        raise AssertionError("the queue does not drain")
    finally:
        drainer.close()


def current(job: JobPosting) -> Decision:
    return Decision.objects.get(job=job, current=True)


def automatic(monkeypatch: Any, category: Category | None, outcome: Outcome) -> None:
    """Have the classifier say one thing, to test what is made of it."""
    from marketplace_ai.queue.proposal import Proposal

    proposal = Proposal(outcome, category.pk if category else None, 0.99, 0.9)
    monkeypatch.setattr(Pipeline, "propose", lambda self, texts, vectors: [proposal] * len(texts))
