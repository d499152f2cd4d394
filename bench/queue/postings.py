"""Postings, categories and ready-made answers, for rows that measure no encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from marketplace_ai.imports.catalog import import_catalog
from marketplace_ai.models import Category, Outcome
from marketplace_ai.queue.proposal import Proposal
from marketplace_ai.serving.active_model import ModelLoader

from ..inputs import CATALOGUE

DESCRIPTION = "Stue og gang, ca. 40 kvm, gjerne innen to uker. Vegger og tak, to strøk."
DIMENSION, MATCHES, CHOICES = 384, 20, 5


def empty() -> None:
    """No posting, and nothing in log and queue."""
    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE marketplace_ai_jobposting, marketplace_ai_postingchange, "
            "marketplace_ai_queuedposting CASCADE"
        )


def create(count: int, description: str = DESCRIPTION) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO marketplace_ai_jobposting (title, description) "
            "SELECT 'Male rom ' || n, %s FROM generate_series(1, %s) AS n",
            [description, count],
        )


class ReadyMade:
    """An encoder whose vectors are there already."""

    def __init__(self, encoder: Any) -> None:
        rows = np.random.default_rng(0).standard_normal((4096, DIMENSION)).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        self._rows: NDArray[np.float32] = rows
        self._encoder = encoder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self._rows[: len(texts)]


def ready_models() -> ModelLoader:
    """A loader of the real active model, except for vectors and proposals, which cost nothing:
    every posting gets a category, 20 matches and 5 choices."""
    models = ModelLoader()
    if not Category.objects.exists():
        import_catalog(str(CATALOGUE / "home_services.csv"))
    model = models.refresh()
    model.text_encoder = ReadyMade(model.text_encoder)
    ready = _proposals(list(Category.objects.values_list("pk", flat=True)))

    def propose(texts: Sequence[str], vectors: Sequence[Any]) -> list[Proposal]:
        return [ready[number % len(ready)] for number in range(len(texts))]

    setattr(model, "propose", propose)  # noqa: B010 (mypy refuses to assign to a method)
    return models


def _proposals(categories: list[int]) -> list[Proposal]:
    random = np.random.default_rng(1)
    found = []
    for number in range(512):
        shares = np.sort(random.random(MATCHES))[::-1]
        ids = random.integers(1, 20_000, MATCHES)
        keys = [categories[(number + k) % len(categories)] for k in range(CHOICES)]
        found.append(
            Proposal(
                Outcome.AUTOMATIC, keys[0], 0.98, 0.9,
                matches=tuple(
                    (int(i), float(s), float(s) / MATCHES)
                    for i, s in zip(ids, shares, strict=True)
                ),
                own_share=0.1,
                choices=tuple((key, 0.9 / (k + 1)) for k, key in enumerate(keys)),
            )
        )  # fmt: skip
    return found
