from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from marketplace_ai.fitting import fit_classifier
from marketplace_ai.imports.catalog import import_catalog
from marketplace_ai.imports.exemplars import import_exemplars
from marketplace_ai.models import Outcome
from marketplace_ai.queue.proposal import Proposal
from marketplace_ai.serving.pipeline import Pipeline
from marketplace_ai.worker.loop import Drainer
from tests.conftest import CATALOG, EXEMPLARS


@pytest.fixture
def sections(db: Any, tmp_path: Any) -> dict[str, Any]:
    from tests.host.models import Section

    file = tmp_path / "catalog.csv"
    file.write_text(CATALOG, encoding="utf-8")
    import_catalog(str(file))
    return {section.code: section for section in Section.objects.all()}


@pytest.fixture
def fitted(sections: dict[str, Any], tmp_path: Any) -> None:
    file = tmp_path / "exemplars.csv"
    lines = [f'"{text}",{key}' for key, texts in EXEMPLARS.items() for text in texts]
    file.write_text("\n".join(["text,category", *lines]) + "\n", encoding="utf-8")
    import_exemplars(str(file))
    fit_classifier.fit([], target_precision=0.97, confidence=0.95, progress=lambda n: None)


@pytest.fixture
def drain() -> Any:
    """Turn after turn while there is work; with one pipeline, as in a worker that lives on."""
    pipeline = Pipeline()

    def turns() -> None:
        drainer = Drainer(pipeline)
        try:
            for _ in range(30):
                if not drainer.turn():
                    return
            raise AssertionError("the queue does not drain")
        finally:
            drainer.close()

    return turns


@pytest.fixture
def say(monkeypatch: Any) -> Callable[[Any | None, Outcome], None]:
    """Have the classifier say one thing, to test what is made of it."""

    def always(category: Any | None, outcome: Outcome) -> None:
        proposal = Proposal(outcome, category.pk if category else None, 0.99, 0.9)
        monkeypatch.setattr(
            Pipeline, "propose", lambda self, texts, vectors: [proposal] * len(texts)
        )

    return always
