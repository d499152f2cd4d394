"""The whole way on real texts: exemplars in force, postings from the queue to their decision."""

from __future__ import annotations

import os
import time
from statistics import median
from typing import Any

import numpy as np
from django.db import connection

from marketplace_ai.lifecycle import fitting
from marketplace_ai.models import Category, Decision, Exemplar, JobPosting
from marketplace_ai.pipeline import Pipeline
from marketplace_ai.queue import vectors
from marketplace_ai.tables import read_csv
from marketplace_ai.text import digest
from marketplace_ai.worker.loop import Drainer

from ..inputs import public_file
from ..rows import say
from .world import scaled

EXEMPLARS, FITTED, POSTINGS, BLOCKS, NAIVE = 20_000, 2_000, 20_000, 10, 300

NEIGHBORS = """
SELECT exemplar.category_id, 1 - (embedding.vector <=> %s)
FROM marketplace_ai_exemplarembedding AS embedding
JOIN marketplace_ai_exemplar AS exemplar ON exemplar.id = embedding.exemplar_id
WHERE embedding.encoder_id = %s
ORDER BY embedding.vector <=> %s LIMIT 20
"""


def way() -> dict[str, float]:
    """Medians over blocks of postings, each measured in all three ways by turns.

    ``by_bare_encode``: seconds of the encoder alone, all of the block's texts in one call, by
    those from the first look at the log to the last commit. ``by_naive_way``: seconds a posting
    of the naive way by those of the queue.
    """
    pipeline, texts = _prepared(), _texts("massive_sv-SE", scaled(POSTINGS))
    assert pipeline.texts is not None  # noqa: S101
    drainer = Drainer(pipeline)
    bare, queue, naive = [], [], []
    for number in range(BLOCKS):
        block = texts[number::BLOCKS]
        pipeline.texts.encode(block[:64])  # the first call after a pause is slower
        start = time.perf_counter()
        pipeline.texts.encode(block)
        bare.append((time.perf_counter() - start) / len(block))

        jobs = JobPosting.objects.bulk_create([JobPosting(title=text) for text in block])
        start = time.perf_counter()
        while drainer.turn():
            pass
        queue.append((time.perf_counter() - start) / len(block))
        decided = Decision.objects.filter(job__in=[job.pk for job in jobs]).count()
        if decided != len(block):
            raise RuntimeError(f"{decided} of {len(block)} postings were decided")

        sample = jobs[: scaled(NAIVE) // BLOCKS or 1]
        start = time.perf_counter()
        for job in sample:
            _naively(pipeline, job)
        naive.append((time.perf_counter() - start) / len(sample))
        say(
            f"block {number + 1}: bare {1 / bare[-1]:.0f}/s, queue {1 / queue[-1]:.0f}/s, "
            f"naive {1 / naive[-1]:.1f}/s; load {os.getloadavg()[0]:.1f}"
        )
    drainer.close()
    return {
        "by_bare_encode": median(b / q for b, q in zip(bare, queue, strict=True)),
        "by_naive_way": median(n / q for n, q in zip(naive, queue, strict=True)),
    }


def _prepared() -> Pipeline:
    """A pipeline with all exemplars in force, in a classifier fitted on the first of them."""
    rows = _labelled(scaled(EXEMPLARS))
    labels = dict.fromkeys(label for _, label in rows)
    categories = {label: Category.objects.create(slug=label, name=label) for label in labels}

    def add(part: list[tuple[str, str]]) -> None:
        Exemplar.objects.bulk_create(
            Exemplar(
                text=text, text_digest=digest(text), category=categories[label],
                category_key=label, source="imported",
            )
            for text, label in part
        )  # fmt: skip

    shuffled = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))]
    fitted = min(FITTED, len(rows) // 2)
    say(f"Fitting {fitted:,} of {len(rows):,} exemplars …")
    add(shuffled[:fitted])
    fitting.fit([], target_precision=0.97, confidence=0.95, progress=lambda n: None)
    add(shuffled[fitted:])
    pipeline = Pipeline()
    say("Encoding the others …")
    pipeline.refresh()
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    return pipeline


def _naively(pipeline: Pipeline, job: JobPosting) -> None:
    """What one task for each posting would do: encode it, ask PostgreSQL for its neighbors,
    save. Without the costs of Celery itself, which flatters it."""
    assert pipeline.texts is not None and pipeline.encoder is not None  # noqa: S101
    job = JobPosting.objects.get(pk=job.pk)
    vector = vectors.to_database(pipeline.texts.encode([job.title]))[0]
    with vectors.cursor(connection) as cursor:
        cursor.execute(NEIGHBORS, [vector, pipeline.encoder.pk, vector])
        votes: dict[int, float] = {}
        for category, similarity in cursor.fetchall():
            votes[category] = votes.get(category, 0.0) + similarity
    job.category_id = max(votes, key=lambda category: votes[category])
    job.save(update_fields=["category"])


def _labelled(count: int) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name in ("massive_da-DK", "banking77"):
        rows = read_csv(public_file(name), ("text", "category"))
        found += [(row["text"], row["category"]) for row in rows]
    return list(dict.fromkeys(found))[:count]


def _texts(name: str, count: int) -> list[str]:
    """Of the public set, and where they are too few, of the end of another one; as long as a
    title may be."""
    found: list[Any] = [row["text"] for row in read_csv(public_file(name), ("text",))]
    more = [row["text"] for row in read_csv(public_file("banking77"), ("text",))]
    return [text[:300] for text in [*found, *reversed(more)][:count]]
