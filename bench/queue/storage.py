"""What a decided posting takes on PostgreSQL's disk, and what the search index costs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from marketplace_ai.encoders import partitions, search_index
from marketplace_ai.models import Encoder
from marketplace_ai.worker.loop import Worker

from ..rows import say
from .postings import DIMENSION, create, empty, ready_models
from .world import scaled

POSTINGS = 50_000
#: Room for the whole graph, as an operator would give it.
MEMORY = "1GB"


class Scattered:
    """An encoder that gives every text a direction of its own: the most that a graph can cost."""

    def __init__(self, encoder: Any) -> None:
        self._encoder, self._random = encoder, np.random.default_rng(0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows = self._random.standard_normal((len(texts), DIMENSION)).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows


def disk() -> dict[str, float]:
    """``decision`` and ``vector``: bytes a posting in these tables with their indexes, dead rows
    included; ``index``: bytes a vector of the search index; ``build``: its seconds."""
    count = scaled(POSTINGS)
    models = ready_models()
    model = models.refresh()
    model.text_encoder = Scattered(model.text_encoder)
    empty()
    create(count)
    with closing(Worker(models)) as queue_worker:
        while queue_worker.run_once():
            pass
    encoder = Encoder.objects.get()
    table = partitions.name(encoder)
    found = {"decision": _bytes("marketplace_ai_decision"), "vector": _bytes(table)}
    with connection.cursor() as cursor:
        cursor.execute(f"SET maintenance_work_mem = '{MEMORY}'")
    start = time.perf_counter()
    search_index.build_search_index(encoder)
    build = time.perf_counter() - start
    found["index"] = _bytes(table) - found["vector"]
    each = {name: size / count for name, size in found.items()}
    shown = ", ".join(f"{name} {size:,.0f} bytes" for name, size in each.items())
    say(f"{count:,} postings: {shown} each; search index built in {build:.0f} s")
    return {**each, "build": build}


def _bytes(table: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_total_relation_size(%s::regclass)", [table])
        return int(cursor.fetchone()[0])
