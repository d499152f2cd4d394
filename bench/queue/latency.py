"""How long one posting waits, and one save."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median, quantiles

import psycopg
from celery import current_app
from django.db import connection

from marketplace_ai.encoders import active
from marketplace_ai.fitting import fit_classifier
from marketplace_ai.imports.catalog import import_catalog
from marketplace_ai.imports.exemplars import import_exemplars
from marketplace_ai.models import Category, ExemplarEmbedding, JobPosting
from marketplace_ai.queue import heartbeat, stats, wake_up
from marketplace_ai.text.csv_files import read_csv

from ..inputs import CATALOGUE
from ..rows import say
from .postings import create
from .world import ROOT, scaled

DECIDED = "SELECT 1 FROM marketplace_ai_decision WHERE posting_id = %s AND is_current"
QUEUED_OLD = """
INSERT INTO marketplace_ai_queuedposting
    (posting_id, priority, is_vector_only, is_isolated, attempts, queued_at, scheduled_at,
     last_error)
SELECT id, 0, false, false, 0, now(), now(), '' FROM marketplace_ai_jobposting
"""
#: Whoever waits for a decision looks this often, in seconds.
LOOK = 0.002


def idle() -> float:
    """Milliseconds from the save to the decision and category that others can see, less the
    median of encoding one text in this process; a real Celery worker, woken through Redis."""
    _ready()
    texts = [f"{r['title']}\n{r['description']}" for r in _postings()][: scaled(100)]
    _, encoder = active.ensure_active()
    encoder.warm_up()
    waits, encodes = [], []
    with _running("celery", "--app", "config", "worker", "--concurrency", "1"):
        for text in [*texts[:5], *texts]:
            title, _, description = text.partition("\n")
            waits.append(_decided_after(title, description))
            time.sleep(0.2)
            begun = time.perf_counter()
            encoder.encode([text])
            encodes.append(time.perf_counter() - begun)
    waits, encodes = waits[5:], encodes[5:]
    say(
        f"created to decided: median {1000 * median(waits):.0f} ms, 95th percentile "
        f"{1000 * quantiles(waits, n=20)[-1]:.0f} ms; encoding one text: median "
        f"{1000 * median(encodes):.0f} ms; load {os.getloadavg()[0]:.1f}"
    )
    return 1000 * (quantiles(waits, n=20)[-1] - median(encodes))


def beside_backfill() -> float:
    """The 95th percentile from the save to the decision, in batches of the old postings that are
    worked off: the rest of the one in the encoder, and the time that its own takes in parallel with
    deciding and writing that one."""
    _ready()
    active.ensure_active()
    create(scaled(100_000))
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE marketplace_ai_postingchange")
        cursor.execute(QUEUED_OLD)
    waits = []
    with _running("django", "process_pending"):
        _decided_after("Male stue", "")
        first, begun = stats.queue_health().queued, time.monotonic()
        for number in range(scaled(60)):
            waits.append(_decided_after("Male stue", f"nummer {number}"))
            time.sleep(0.5 + number % 7 / 10)
        rate, batches = _rates(begun)
    batch = 1 / batches
    say(
        f"{first:,} waiting, {rate:.0f} postings/s, a batch {1000 * batch:.0f} ms; created to "
        f"decided: median {1000 * median(waits):.0f} ms, 95th percentile "
        f"{1000 * quantiles(waits, n=20)[-1]:.0f} ms; load {os.getloadavg()[0]:.1f}"
    )
    return quantiles(waits, n=20)[-1] / batch


def beside_new_categories() -> float:
    """The longest that a posting waits, in seconds, from the moment 2,000 categories with
    descriptions are added until a worker has encoded all of these."""
    _ready()
    scopes = [row["scope_nb"] for row in _categories() if row["scope_nb"]]
    with _running("django", "process_pending"):
        _decided_after("Male stue", "")
        Category.objects.bulk_create(
            Category(
                slug=f"new-{number}", name=f"Nytt fag {number}", scope=scopes[number % len(scopes)]
            )
            for number in range(scaled(2000))
        )
        waits: list[float] = []
        begun = time.monotonic()
        while _descriptions_to_encode():
            waits.append(_decided_after("Male stue", f"nummer {len(waits)}"))
            time.sleep(0.1)
        seconds = time.monotonic() - begun
    say(
        f"{len(waits)} postings in {seconds:.0f} s; created to decided: median "
        f"{1000 * median(waits):.0f} ms, 95th percentile {1000 * quantiles(waits, n=20)[-1]:.0f} "
        f"ms, longest {1000 * max(waits):.0f} ms; load {os.getloadavg()[0]:.1f}"
    )
    return max(waits)


def dead_redis() -> float:
    """Milliseconds that the slowest of 200 saves takes more than the median one with Redis."""
    wake_up.reset()
    alive = _saves()
    current_app.conf.broker_url = "redis://127.0.0.1:1/0"
    wake_up.reset()
    dead = _saves()
    say(
        f"a save: median {1000 * median(alive):.1f} ms with Redis, {1000 * median(dead):.1f} ms "
        f"without; slowest {1000 * max(alive):.1f} and {1000 * max(dead):.1f} ms"
    )
    return 1000 * (max(dead) - median(alive))


def _saves() -> list[float]:
    found = []
    for number in range(201):
        begun = time.perf_counter()
        JobPosting.objects.create(title=f"Male rom {number}")
        found.append(time.perf_counter() - begun)
        time.sleep(wake_up.COALESCE_SECONDS)
    return found[1:]


def _ready() -> None:
    """The demo's catalogue, its exemplars, and an active classifier."""
    import_catalog(str(CATALOGUE / "home_services.csv"))
    import_exemplars(str(CATALOGUE / "exemplars_nb.csv"))
    say("Fitting the catalogue's exemplars …")
    fit_classifier.fit(progress=lambda n: None)


def _categories() -> list[dict[str, str]]:
    return [row.values for row in read_csv(CATALOGUE / "home_services.csv", ("slug", "scope_nb"))]


def _descriptions_to_encode() -> bool:
    """Whether a new category still lacks its description, or that its vector."""
    encoded = ExemplarEmbedding.objects.filter(exemplar__category__slug__startswith="new-").count()
    return encoded < Category.objects.filter(slug__startswith="new-").count()


def _postings() -> list[dict[str, str]]:
    rows = read_csv(CATALOGUE / "postings_nb.csv", ("title", "description"))
    return [row.values for row in rows]


def _decided_after(title: str, description: str) -> float:
    begun = time.perf_counter()
    job = JobPosting.objects.create(title=title, description=description)
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as own:
        while own.execute(DECIDED, [job.pk]).fetchone() is None:
            if time.perf_counter() - begun > 600:
                raise RuntimeError("the posting was not decided within ten minutes")
            time.sleep(LOOK)
    return time.perf_counter() - begun


def _rates(begun: float) -> tuple[float, float]:
    """Postings decided a second since then, by the database's own count, and old ones' batches,
    which are written in a transaction each."""
    seconds = time.monotonic() - begun
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(rows), count(*) FILTER (WHERE rows > 1) FROM ("
            " SELECT count(*) AS rows FROM marketplace_ai_decision"
            " WHERE decided_at > now() - make_interval(secs => %s) GROUP BY decided_at) AS batch",
            [seconds],
        )
        postings, batches = cursor.fetchone()
    return float(postings) / seconds, float(batches) / seconds


@contextmanager
def _running(*module: str) -> Iterator[None]:
    """A worker for the block, from the moment that it listens."""
    worker = subprocess.Popen(  # noqa: S603 (our own programs)
        [sys.executable, "-m", *module], cwd=ROOT, stdout=sys.stderr
    )
    try:
        while not heartbeat.worker_names():
            if worker.poll() is not None:
                raise RuntimeError(f"{module[0]} ended with {worker.returncode}")
            time.sleep(0.1)
        yield
    finally:
        worker.terminate()
        worker.wait()
