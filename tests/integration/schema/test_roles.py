"""Roles without rights on our tables: what they do in the project works, and gives them nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.utils import ProgrammingError

from marketplace_ai.exemplars import vector_store
from marketplace_ai.models import Category, Exemplar, ExemplarSource, JobPosting
from marketplace_ai.queue import trigger
from marketplace_ai.schema import own_triggers
from marketplace_ai.text.normalize import digest

pytestmark = pytest.mark.django_db

AS_OWNER = sorted(
    {*trigger.OPERATIONS, *(f.name for f in own_triggers.FUNCTIONS if f.as_owner)}
)  # fmt: skip


def run(sql: str, *values: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values or None)
        return list(cursor.fetchall()) if cursor.description else []


@contextmanager
def role(name: str, *grants: str) -> Iterator[None]:
    """For the block, the session has this role, with these grants alone."""
    run(f"CREATE ROLE {name}")
    for grant in grants:
        run(f"GRANT {grant} TO {name}")
    run(f"SET ROLE {name}")
    yield
    run("RESET ROLE")


@pytest.fixture
def exemplar(exemplars: None, posting: JobPosting, catalog: dict[str, Category]) -> Exemplar:
    """One made of a posting."""
    return Exemplar.objects.create(
        text=posting.title, text_digest=digest(posting.title), category=catalog["maling"],
        category_key="maling", source=ExemplarSource.REVIEWED, posting=posting,
    )  # fmt: skip


def test_a_posting_with_an_exemplar_is_deleted(exemplar: Exemplar) -> None:
    generation = vector_store.generation()
    with role("moderator", "SELECT, DELETE ON marketplace_ai_jobposting"):
        run("DELETE FROM marketplace_ai_jobposting WHERE id = %s", exemplar.posting_id)
    assert not Exemplar.objects.filter(pk=exemplar.pk).exists()
    assert vector_store.generation() > generation


def test_a_category_with_exemplars_is_deleted(exemplar: Exemplar) -> None:
    generation = vector_store.generation()
    JobPosting.objects.update(category=None)
    with role("taxonomist", "SELECT, DELETE ON marketplace_ai_category"):
        run("DELETE FROM marketplace_ai_category WHERE id = %s", exemplar.category_id)
    exemplar.refresh_from_db()
    assert (exemplar.category_id, exemplar.state) == (None, "orphaned")
    assert vector_store.generation() > generation


@pytest.mark.parametrize("name", AS_OWNER)
def test_nobody_else_attaches_a_function_that_runs_as_its_owner(name: str) -> None:
    with role("stranger", "CREATE, USAGE ON SCHEMA public"):
        run("CREATE TABLE theirs (id bigint)")
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
            run(
                f"CREATE TRIGGER theirs AFTER INSERT ON theirs FOR EACH ROW "
                f"EXECUTE FUNCTION {name}()"
            )


def test_one_attached_elsewhere_writes_nothing_there() -> None:
    """A dump restored without privileges lets anybody execute it, until the next migrate."""
    run("GRANT EXECUTE ON FUNCTION marketplace_ai_category_deleted() TO PUBLIC")
    run("CREATE ROLE stranger")
    run("CREATE SCHEMA theirs AUTHORIZATION stranger")
    run("SET ROLE stranger")
    run(
        "CREATE TABLE theirs.marketplace_ai_postingchange (posting_id int, kind text, "
        "logged_at timestamptz)"
    )
    run(
        "CREATE TABLE theirs.marketplace_ai_decision (id int, posting_id int, category_id int, "
        "is_current bool)"
    )
    run(
        "CREATE TRIGGER theirs AFTER UPDATE ON theirs.marketplace_ai_decision "
        "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT "
        "EXECUTE FUNCTION marketplace_ai_category_deleted()"
    )
    run("INSERT INTO theirs.marketplace_ai_decision VALUES (1, 1, 1, true)")  # fmt: skip
    run("UPDATE theirs.marketplace_ai_decision SET category_id = NULL")
    assert run("SELECT * FROM theirs.marketplace_ai_postingchange") == []
    run("RESET ROLE")
    assert run("SELECT * FROM public.marketplace_ai_postingchange") == []
