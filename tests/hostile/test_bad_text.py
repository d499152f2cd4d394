"""Whatever a posting's text is, it is decided or fails alone; the rest of its batch is intact."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from django.conf import settings as django_settings
from django.db import connection
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from psycopg.sql import SQL, Identifier

from marketplace_ai.adapter import JobAdapter
from marketplace_ai.encoding import load_encoder
from marketplace_ai.models import Decision, JobPosting, PostingEmbedding, QueuedPosting
from marketplace_ai.text.normalize import digest, normalize
from tests.acceptance import workers
from tests.faults.scale import SEED, scaled
from tests.hostile.texts import BAD, MEANING, any_text
from tests.integration.databases import fresh_database, url_of
from tests.integration.worker_runs import drain, fit

NEIGHBORS = ["Male stue", "Klippe gress hver uke", "Bytte kran på bad", "Hei på deg"]


class Bytes(JobAdapter):
    """A host that keeps its texts as PostgreSQL does not take them: any Python string."""

    texts: dict[str, str] = {}

    def text(self, job: Any) -> str:
        return self.texts.get(job.title, job.title)


@pytest.mark.django_db
@seed(SEED)
@settings(
    max_examples=scaled(400, 5000), deadline=None, print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(st.text(st.characters(codec=None), max_size=300))
def test_any_text_becomes_one_that_postgres_keeps_as_it_is(text: str) -> None:
    prepared = normalize(text)
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::text", [prepared])
        assert cursor.fetchone() == (prepared,)
    assert digest(normalize(prepared)) == digest(prepared)


@pytest.mark.django_db
def test_bad_texts_in_a_batch_harm_nobody(
    exemplars: None, settings: Any, rng: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit()
    alone = [JobPosting.objects.create(title=title) for title in NEIGHBORS]
    drain()
    before = [_made_of(job) for job in alone]

    texts = {**BAD, **{f"any {n}": any_text(rng) for n in range(scaled(100, 1200))}}
    settings.MARKETPLACE_AI_ADAPTER = f"{__name__}.Bytes"
    monkeypatch.setattr(Bytes, "texts", texts)
    titles = rng.sample([*texts, *NEIGHBORS], len(texts) + len(NEIGHBORS))
    jobs = JobPosting.objects.bulk_create(JobPosting(title=title) for title in titles)
    drain()

    assert not QueuedPosting.objects.exists()
    assert Decision.objects.filter(posting__in=jobs, is_current=True).count() == len(jobs)
    between = {job.title: job for job in jobs}
    for title, (made, probability) in zip(NEIGHBORS, before, strict=True):
        now, probably = _made_of(between[title])
        assert now == made
        # A product of another shape adds its numbers in another order.
        assert probably == pytest.approx(probability, rel=1e-6)


def _made_of(job: JobPosting) -> tuple[tuple[Any, ...], float]:
    """A posting's vector, to the bit, what was decided by it, and how surely."""
    vector = PostingEmbedding.objects.get(posting=job).vector
    made = Decision.objects.get(posting=job, is_current=True)
    return (list(vector), made.outcome, made.category_key), made.probability


@pytest.fixture(scope="module")
def bundled() -> Any:
    cache = Path(django_settings.MARKETPLACE_AI_CACHE_DIR).expanduser()
    return load_encoder("bundled", cache_dir=cache)


def test_neighbors_of_bad_texts_have_the_vectors_that_they_have_alone(bundled: Any) -> None:
    bad = [text for text in (normalize(text) for text in [*BAD.values(), *MEANING]) if text]
    alone = np.concatenate([bundled.encode([text]) for text in NEIGHBORS])
    together = bundled.encode([*bad, *NEIGHBORS])
    np.testing.assert_allclose(together[-len(NEIGHBORS) :], alone, atol=1e-3)


def test_a_megabyte_costs_no_more_than_a_text_at_the_limit(bundled: Any) -> None:
    """In tokens, which are what is paid for."""
    whole = normalize(BAD["1 MB"])
    limit = JobAdapter.max_chars
    assert len(whole) <= limit and len(normalize(BAD["10 MB of one word"])) <= limit
    assert bundled.backend.tokenize([whole]).lengths.tolist() <= [bundled.max_tokens]


@pytest.mark.django_db(transaction=True)
def test_only_bytes_that_are_no_text_fail(tmp_path: Path) -> None:
    """A database in SQL_ASCII takes any bytes; those of one posting cannot be read."""
    with _in_sql_ascii("marketplace_ai_ascii") as url:
        environment = workers.environment(url, max_attempts=1)
        with workers.running(["django", "migrate"], tmp_path / "migrate", environment) as process:
            assert process.wait_for_end() == 0, process.text()
        with psycopg.connect(url, autocommit=True) as own:
            own.execute("SET client_encoding = 'SQL_ASCII'")
            own.execute(
                "INSERT INTO marketplace_ai_jobposting (title) "
                "VALUES ('Male stue'), (E'\\xff\\xfe\\xc3'), ('Klippe gress')"
            )

            def fates() -> list[tuple[int, bool, bool]]:
                return own.execute(
                    "SELECT job.id, queued.failed_at IS NOT NULL, decision.id IS NOT NULL "
                    "FROM marketplace_ai_jobposting AS job "
                    "LEFT JOIN marketplace_ai_queuedposting AS queued "
                    "ON queued.posting_id = job.id "
                    "LEFT JOIN marketplace_ai_decision AS decision ON decision.posting_id = job.id "
                    "ORDER BY job.id"
                ).fetchall()

            with workers.queue_worker(tmp_path / "worker", environment) as worker:
                worker.wait_for(
                    lambda: all(failed or decided for _, failed, decided in fates()),
                    "the queue does not settle",
                )
            assert [fate[1:] for fate in fates()] == [(False, True), (True, False), (False, True)]


class _in_sql_ascii:  # noqa: N801 (a context manager)
    """A fresh database of that encoding, instead of the usual one."""

    def __init__(self, name: str) -> None:
        self._fresh = fresh_database(name)

    def __enter__(self) -> str:
        url = self._fresh.__enter__()
        name = Identifier(url.rpartition("/")[2].partition("?")[0])
        with psycopg.connect(url_of("postgres"), autocommit=True) as server:
            server.execute(SQL("DROP DATABASE {}").format(name))
            server.execute(
                SQL(
                    "CREATE DATABASE {} ENCODING 'SQL_ASCII' TEMPLATE template0 "
                    "LOCALE_PROVIDER libc LC_COLLATE 'C' LC_CTYPE 'C'"
                ).format(name)
            )
        return url

    def __exit__(self, *error: Any) -> None:
        self._fresh.__exit__(*error)
