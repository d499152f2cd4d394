"""Triggers work whatever search path a session of the project has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from marketplace_ai.encoders import active
from marketplace_ai.exemplars import encode, vector_store
from marketplace_ai.models import (
    Category,
    Encoder,
    Exemplar,
    ExemplarEmbedding,
    ExemplarGeneration,
    ExemplarSource,
    JobPosting,
    PostingChange,
)
from marketplace_ai.schema.differences import differences
from marketplace_ai.text.normalize import digest

pytestmark = pytest.mark.django_db

PATHS = ["", "pg_catalog", "elsewhere"]


def run(sql: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, values or None)


@pytest.fixture(params=PATHS)
def path(request: pytest.FixtureRequest, db: Any) -> Iterator[str]:
    run("CREATE SCHEMA elsewhere")
    yield request.param


@pytest.fixture
def exemplar(exemplars: None, posting: JobPosting, catalog: dict[str, Category]) -> Exemplar:
    """One made of a posting."""
    return Exemplar.objects.create(
        text=posting.title, text_digest=digest(posting.title), category=catalog["maling"],
        category_key="maling", source=ExemplarSource.REVIEWED, posting=posting,
    )  # fmt: skip


def under(path: str, *statements: str) -> None:
    """Run the statements as a session with this search path does."""
    run("SELECT set_config('search_path', %s, false)", path)
    for statement in statements:
        run(statement)
    run("RESET search_path")


def test_a_category_is_deleted(path: str, exemplar: Exemplar) -> None:
    category = exemplar.category_id
    before = Exemplar.objects.filter(category_id=category).count()
    JobPosting.objects.update(category=None)
    under(path, f"DELETE FROM public.marketplace_ai_category WHERE id = {category}")
    left = Exemplar.objects.filter(category_key="maling")
    assert set(left.values_list("category_id", "state")) == {(None, "orphaned")}
    assert left.count() == before
    assert set(left.values_list("generation", flat=True)) == {vector_store.generation()}
    assert len(ExemplarGeneration.objects.get().previous) > 1  # nothing was removed


def test_a_posting_with_an_exemplar_is_deleted(path: str, exemplar: Exemplar) -> None:
    generation = vector_store.generation()
    posting = exemplar.posting_id
    under(path, f"DELETE FROM public.marketplace_ai_jobposting WHERE id = {posting}")
    assert not Exemplar.objects.filter(pk=exemplar.pk).exists()
    assert vector_store.generation() > generation
    assert ExemplarGeneration.objects.get().previous == []


def test_postings_are_created_and_edited(path: str, posting: JobPosting) -> None:
    PostingChange.objects.all().delete()
    under(
        path,
        "INSERT INTO public.marketplace_ai_jobposting (title) VALUES ('ny')",
        f"UPDATE public.marketplace_ai_jobposting SET title = 'x' WHERE id = {posting.pk}",
    )
    assert set(PostingChange.objects.values_list("kind", flat=True)) == {"created", "edited"}


def test_a_function_of_the_project_with_an_empty_search_path(exemplar: Exemplar) -> None:
    run("""
        CREATE FUNCTION remove(key bigint) RETURNS void LANGUAGE sql SECURITY DEFINER
        SET search_path = '' AS 'DELETE FROM public.marketplace_ai_jobposting WHERE id = key'
    """)
    run("SELECT remove(%s)", exemplar.posting_id)
    assert not Exemplar.objects.filter(pk=exemplar.pk).exists()


COPIED = (
    "encoder", "exemplar", "exemplarembedding",
)  # fmt: skip


def test_exemplars_come_back_by_copy_with_an_empty_search_path(
    path: str, exemplar: Exemplar
) -> None:
    """What pg_restore --data-only does."""
    encoder, text_encoder = active.ensure_active()
    encode.encode_exemplars(encoder, text_encoder)
    counts = Exemplar.objects.count(), ExemplarEmbedding.objects.count()
    assert counts[0] == counts[1] > 0
    saved = {}
    for table in COPIED:
        with (
            connection.cursor() as cursor,
            cursor.copy(f"COPY public.marketplace_ai_{table} TO STDOUT") as copy,
        ):
            saved[table] = b"".join(bytes(part) for part in copy)
    run("DELETE FROM marketplace_ai_exemplar")
    run(f"DROP TABLE marketplace_ai_postingembedding_{encoder.pk}")
    run("DELETE FROM marketplace_ai_encoder")
    run("DELETE FROM marketplace_ai_exemplargeneration")
    run("SELECT set_config('search_path', %s, false)", path)
    for table in COPIED:
        with (
            connection.cursor() as cursor,
            cursor.copy(f"COPY public.marketplace_ai_{table} FROM STDIN") as copy,
        ):
            copy.write(saved[table])
    run("RESET search_path")
    assert (Exemplar.objects.count(), ExemplarEmbedding.objects.count()) == counts
    # A new worker reads each of them, and makes the partition that the data did not bring.
    encoder, _ = active.ensure_active()
    assert differences() == []
    known = vector_store.changes(encoder.pk, encoder.dimension)
    assert len(known.ids) == counts[0]
    assert Encoder.objects.count() == 1
