"""The whole pipeline on real texts: active exemplars, postings from the queue to their decision."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from contextlib import closing
from statistics import median
from typing import Any

import numpy as np
from django.db import connection

from marketplace_ai.db import vectors
from marketplace_ai.fitting import fit_classifier
from marketplace_ai.models import Category, Decision, Exemplar, JobPosting
from marketplace_ai.serving.active_model import ActiveModel, ModelLoader
from marketplace_ai.text.csv_files import read_csv
from marketplace_ai.text.normalize import digest
from marketplace_ai.worker.loop import Worker

from ..encoding import encoder
from ..inputs import public_file
from ..rows import say
from .world import scaled

EXEMPLARS, FITTED, POSTINGS, BLOCKS, NAIVE = 20_000, 2_000, 20_000, 5, 300

NEIGHBORS = """
SELECT exemplar.category_id, 1 - (embedding.vector <=> %s)
FROM marketplace_ai_exemplarembedding AS embedding
JOIN marketplace_ai_exemplar AS exemplar ON exemplar.id = embedding.exemplar_id
WHERE embedding.encoder_id = %s
ORDER BY embedding.vector <=> %s LIMIT 20
"""


def way() -> dict[str, float]:
    """Medians over blocks of postings, each measured in all ways by turns.

    ``torch_by_bare``, ``int8_by_bare``: seconds of the encoder alone, all of the block's texts in
    one call, by those from the first look at the log to the last commit, on either back end.
    ``torch_by_naive``, ``int8_by_naive``: seconds a posting of the naive way, on torch, by those of
    the queue. ``int8_by_torch``: seconds of the queue on torch by those on int8. ``torch_rate``,
    ``int8_rate``: postings a second of the queue.
    """
    models, texts = _prepared(), _texts("massive_sv-SE", scaled(POSTINGS))
    model = models.refresh()
    exact = model.text_encoder
    encoders = {"torch": exact, "int8": encoder("onnx-int8")}
    encoders["int8"].warm_up()
    seconds: dict[str, list[float]] = defaultdict(list)
    for number in range(BLOCKS):
        block = texts[number::BLOCKS]
        jobs: list[JobPosting] = []
        for name, with_it in encoders.items():
            with_it.encode(block[:64])  # the first call after a pause is slower
            start = time.perf_counter()
            with_it.encode(block)
            seconds[f"{name} bare"].append((time.perf_counter() - start) / len(block))
            model.text_encoder = with_it
            jobs = JobPosting.objects.bulk_create([JobPosting(title=text) for text in block])
            seconds[f"{name} queue"].append(_drained(models, jobs) / len(block))
        model.text_encoder = exact
        sample = jobs[: scaled(NAIVE) // BLOCKS or 1]
        start = time.perf_counter()
        for job in sample:
            _naively(model, job)
        seconds["naive"].append((time.perf_counter() - start) / len(sample))
        rates = ", ".join(f"{name} {1 / found[-1]:.0f}/s" for name, found in seconds.items())
        say(f"block {number + 1}: {rates}; load {os.getloadavg()[0]:.1f}")

    def ratio(slow: str, fast: str) -> float:
        return median(a / b for a, b in zip(seconds[slow], seconds[fast], strict=True))

    return {
        "torch_by_bare": ratio("torch bare", "torch queue"),
        "int8_by_bare": ratio("int8 bare", "int8 queue"),
        "torch_by_naive": ratio("naive", "torch queue"),
        "int8_by_naive": ratio("naive", "int8 queue"),
        "int8_by_torch": ratio("torch queue", "int8 queue"),
        "torch_rate": 1 / median(seconds["torch queue"]),
        "int8_rate": 1 / median(seconds["int8 queue"]),
    }


def _drained(models: ModelLoader, jobs: list[JobPosting]) -> float:
    """Seconds until all are decided."""
    with closing(Worker(models)) as queue_worker:
        start = time.perf_counter()
        while queue_worker.run_once():
            pass
        took = time.perf_counter() - start
    decided = Decision.objects.filter(posting__in=[job.pk for job in jobs]).count()
    if decided != len(jobs):
        raise RuntimeError(f"{decided} of {len(jobs)} postings were decided")
    return took


def _prepared() -> ModelLoader:
    """A loader with all exemplars active, in a classifier fitted on the first of them."""
    rows = _labeled_texts(scaled(EXEMPLARS))
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
    fit_classifier.fit(progress=lambda n: None)
    add(shuffled[fitted:])
    models = ModelLoader()
    say("Encoding the others …")
    models.refresh()
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    return models


def _naively(model: ActiveModel, job: JobPosting) -> None:
    """What one task for each posting would do: encode it, ask PostgreSQL for its neighbors,
    save. Without the costs of Celery itself, which flatters it."""
    job = JobPosting.objects.get(pk=job.pk)
    vector = vectors.to_database(model.text_encoder.encode([job.title]))[0]
    with vectors.cursor(connection) as cursor:
        cursor.execute(NEIGHBORS, [vector, model.encoder.pk, vector])
        votes: dict[int, float] = {}
        for category, similarity in cursor.fetchall():
            votes[category] = votes.get(category, 0.0) + similarity
    job.category_id = max(votes, key=lambda category: votes[category])
    job.save(update_fields=["category"])


def _labeled_texts(count: int) -> list[tuple[str, str]]:
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
