from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from marketplace_ai.fitting import fit_classifier
from marketplace_ai.imports.catalog import import_catalog
from marketplace_ai.imports.exemplars import import_exemplars
from marketplace_ai.models import Outcome
from marketplace_ai.queue.proposal import Proposal
from marketplace_ai.serving.active_model import ActiveModel, ModelLoader
from marketplace_ai.worker.loop import Worker
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
    fit_classifier.fit(progress=lambda n: None)


@pytest.fixture
def drain() -> Any:
    """Run batches while there is work, with one model loader, as a long-lived worker does."""
    models = ModelLoader()

    def turns() -> None:
        queue_worker = Worker(models)
        try:
            for _ in range(30):
                if not queue_worker.run_once():
                    return
            raise AssertionError("the queue does not drain")
        finally:
            queue_worker.close()

    return turns


@pytest.fixture
def say(monkeypatch: Any) -> Callable[[Any | None, Outcome], None]:
    """Have the classifier say one thing, to test what is made of it."""

    def always(category: Any | None, outcome: Outcome) -> None:
        proposal = Proposal(outcome, category.pk if category else None, 0.99, 0.9)
        monkeypatch.setattr(
            ActiveModel, "propose", lambda self, texts, vectors: [proposal] * len(texts)
        )

    return always
