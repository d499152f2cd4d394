"""Descriptions: a category without exemplars is proposed by its name and scope."""

from __future__ import annotations

import datetime as dt
import itertools
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections
from django.db.models import F
from django.test import Client
from django.urls import reverse

from marketplace_ai.adapter import JobAdapter
from marketplace_ai.db import advisory_locks
from marketplace_ai.exemplars import descriptions, vector_store
from marketplace_ai.guarantee import minimum_counts
from marketplace_ai.imports.exemplars import import_exemplars
from marketplace_ai.models import (
    Category,
    ClassifierVersion,
    Decision,
    Exemplar,
    ExemplarSource,
    ExemplarState,
    JobPosting,
    Outcome,
)
from marketplace_ai.review.answers import answer
from marketplace_ai.serving import active_model as pipelines
from marketplace_ai.serving.active_model import ModelLoader
from marketplace_ai.text.description_parts import description_parts
from marketplace_ai.text.normalize import digest
from tests.integration.worker_runs import current, drain, fit

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

TUNING = "Pianostemming / Piano tuning\nStemme piano og flygel"


@pytest.fixture
def models(exemplars: None) -> ModelLoader:
    """The pipeline of a running worker, with a classifier fitted before the new category."""
    fit()
    running = ModelLoader()
    drain(running)
    return running


def tuning(**fields: Any) -> Category:
    values = {"name": "Pianostemming", "name_en": "Piano tuning", "scope": "Stemme piano og flygel"}
    return Category.objects.create(slug="piano", **{**values, **fields})


def refresh_after_interval(models: ModelLoader) -> None:
    """Refresh as if the interval between two syncs were over."""
    models._next_look = 0.0
    ago = dt.timedelta(seconds=pipelines.DESCRIPTIONS_SECONDS)
    Exemplar.objects.filter(source=ExemplarSource.DESCRIPTION).update(
        created_at=F("created_at") - ago
    )
    models.refresh()


def description_texts(category: Category) -> set[str]:
    rows = Exemplar.objects.filter(source=ExemplarSource.DESCRIPTION, category=category)
    return set(rows.values_list("text", flat=True))


def parts(description: str) -> set[str]:
    return set(description_parts(description))


def exemplars_of(category: Category, count: int) -> None:
    for number in range(count):
        text = f"Stemme piano nummer {number}"
        Exemplar.objects.create(
            text=text, text_digest=digest(text), category=category, category_key=category.slug,
            source=ExemplarSource.IMPORTED,
        )  # fmt: skip


def test_a_new_category_is_proposed_by_its_description_without_a_restart(
    models: ModelLoader,
) -> None:
    category = tuning()
    refresh_after_interval(models)
    job = JobPosting.objects.create(title="Stemme piano", description="Et gammelt piano og flygel")
    drain(models)
    decision = current(job)
    assert (decision.category_id, decision.outcome) == (category.pk, Outcome.REVIEW)
    assert decision.threshold is None
    match = Exemplar.objects.get(pk=decision.matches[0].exemplar_id)
    assert match.text == "Stemme piano og flygel"  # the part that says it
    job.refresh_from_db()
    assert job.category is None


def test_raw_sql_is_seen_within_the_sync_interval(models: ModelLoader, monkeypatch: Any) -> None:
    monkeypatch.setattr(pipelines, "DESCRIPTIONS_SECONDS", 0.0)
    refresh_after_interval(models)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO marketplace_ai_category (slug, name, name_en, scope) "
            "VALUES ('piano', 'Pianostemming', '', 'Stemme piano og flygel')"
        )
    job = JobPosting.objects.create(title="Stemme piano og flygel")
    drain(models)
    assert current(job).category_key == "piano"


def test_confirmed_postings_vote_at_once_together_with_the_description(
    models: ModelLoader,
) -> None:
    category = tuning()
    refresh_after_interval(models)
    for title in ("Stemme piano i Oslo", "Stemme flygel på hytta", "Piano ute av stemme"):
        job = JobPosting.objects.create(title=title)
        drain(models)
        answer(job.pk, category.pk, None)
    job = JobPosting.objects.create(title="Stemme piano i Oslo", description="i mai")
    drain(models)
    decision = current(job)
    assert (decision.category_id, decision.outcome) == (category.pk, Outcome.REVIEW)
    voted = Exemplar.objects.in_bulk(decision.match_exemplars)
    own = [voted[pk].source for pk in decision.match_exemplars if voted[pk].category == category]
    assert own.count(ExemplarSource.REVIEWED) == 3
    assert set(own) == {ExemplarSource.REVIEWED, ExemplarSource.DESCRIPTION}


def test_the_description_goes_once_there_are_enough_exemplars(models: ModelLoader) -> None:
    category = tuning()
    exemplars_of(category, minimum_counts.MIN_EXEMPLARS_FOR_HEAD - 1)
    models.refresh()
    assert description_texts(category) == parts(TUNING)
    job = JobPosting.objects.create(title="Stemme piano for siste gang")
    answer(job.pk, category.pk, None)
    drain(models)
    assert description_texts(category) == set()
    described = zip(
        models.active.fitted.index.labels, models.active.fitted.index.described, strict=True
    )
    assert (str(category.pk), True) not in described
    other = JobPosting.objects.create(title="Stemme piano")
    drain(models)
    assert current(other).category_id == category.pk
    # It comes back where they no longer are.
    Exemplar.objects.filter(posting=job).update(state=ExemplarState.QUARANTINED)
    models.refresh()
    assert description_texts(category) == parts(TUNING)


def test_a_refit_neither_learns_from_descriptions_nor_forgets_the_category(
    models: ModelLoader,
) -> None:
    category = tuning()
    refresh_after_interval(models)
    fit()
    drain(models)
    figures = ClassifierVersion.objects.get(is_active=True).figures
    assert "piano" not in {row["key"] for row in figures["categories"]}
    assert figures["rows"] == 16
    assert {row["exemplars"] for row in figures["categories"]} == {4}
    job = JobPosting.objects.create(title="Stemme piano og flygel")
    drain(models)
    assert (current(job).category_id, current(job).outcome) == (category.pk, Outcome.REVIEW)


def test_without_an_exemplar_categories_are_proposed_by_their_descriptions(
    catalog: dict[str, Category],
) -> None:
    Category.objects.filter(pk=catalog["maling"].pk).update(scope="Male vegger og tak")
    tuning()
    fit()
    version = ClassifierVersion.objects.get(is_active=True)
    assert version.figures["automatic"]["threshold"] is None
    assert version.figures["basis"]["kind"] == "nothing"
    jobs = [JobPosting.objects.create(title=title) for title in ("Stemme flygel", "Male vegger")]
    running = ModelLoader()
    drain(running)
    assert [current(job).category_key for job in jobs] == ["piano", "maling"]
    assert {current(job).outcome for job in jobs} == {Outcome.REVIEW}
    answer(jobs[0].pk, current(jobs[0]).category_id, None)
    fit()  # the answer is the only exemplar there is
    again = JobPosting.objects.create(title="Male vegger i gang")
    drain(running)
    assert current(again).category_key == "maling"


def test_an_edited_scope_replaces_the_older_one(models: ModelLoader) -> None:
    category = tuning()
    refresh_after_interval(models)
    Category.objects.filter(pk=category.pk).update(scope="Klarinett og obo")
    refresh_after_interval(models)
    assert description_texts(category) == parts("Pianostemming / Piano tuning\nKlarinett og obo")
    gone = Exemplar.objects.filter(text=TUNING)
    assert not gone.exists()
    job = JobPosting.objects.create(title="Klarinett og obo")
    drain(models)
    assert current(job).category_id == category.pk


def test_nothing_is_written_if_nothing_changed(
    models: ModelLoader, django_assert_num_queries: Any
) -> None:
    tuning()
    assert descriptions.sync()
    before = vector_store.generation()
    with django_assert_num_queries(2):
        assert not descriptions.sync()
    assert vector_store.generation() == before


def test_parents_have_none_and_one_that_becomes_a_parent_loses_it(
    exemplars: None, catalog: dict[str, Category]
) -> None:
    before = descriptions.count_description_only()
    category = tuning()
    descriptions.sync()
    assert descriptions.count_description_only() == before + 1  # categories, not texts
    assert description_texts(catalog["bygg"]) == set()
    assert description_texts(category) == parts(TUNING)
    Category.objects.create(slug="flygel", name="Flygel", parent=category)
    descriptions.sync()
    assert description_texts(category) == set()


def test_a_deleted_categorys_description_goes_and_a_new_one_of_its_name_has_its_own(
    models: ModelLoader,
) -> None:
    category = tuning()
    refresh_after_interval(models)
    category.delete()
    left = Exemplar.objects.filter(source=ExemplarSource.DESCRIPTION, category_key="piano")
    assert set(left.values_list("category", "state")) == {(None, ExemplarState.ORPHANED)}
    keys = [row.pk for row in left]
    again = tuning()
    refresh_after_interval(models)
    assert description_texts(again) == parts(TUNING)
    assert not Exemplar.objects.filter(pk__in=keys).exists()
    job = JobPosting.objects.create(title="Stemme piano og flygel")
    drain(models)
    assert current(job).category_id == again.pk


def test_a_quarantined_description_stays_so_until_its_text_changes(models: ModelLoader) -> None:
    category = tuning()
    refresh_after_interval(models)
    rows = Exemplar.objects.filter(category=category)
    rows.update(state=ExemplarState.QUARANTINED)
    refresh_after_interval(models)
    assert {row.state for row in rows.all()} == {ExemplarState.QUARANTINED}
    Category.objects.filter(pk=category.pk).update(scope="Klarinett")
    refresh_after_interval(models)
    states = dict(rows.values_list("text", "state"))
    assert states["Klarinett"] == ExemplarState.ACTIVE
    assert states["Pianostemming"] == ExemplarState.QUARANTINED  # it is still said
    assert TUNING not in states


def test_an_exemplar_with_the_same_text_is_enough(models: ModelLoader) -> None:
    category = tuning()
    Exemplar.objects.create(
        text=TUNING, text_digest=digest(TUNING), category=category, category_key="piano",
        source=ExemplarSource.IMPORTED,
    )  # fmt: skip
    descriptions.sync()
    before = vector_store.generation()
    assert not descriptions.sync()
    assert vector_store.generation() == before
    assert description_texts(category) == parts(TUNING) - {TUNING}


def test_an_adapter_that_fails_on_one_category_holds_up_no_other(
    models: ModelLoader, monkeypatch: Any, caplog: Any
) -> None:
    category = tuning()
    refresh_after_interval(models)
    whole = JobAdapter.category_description

    def failing(self: JobAdapter, asked: Category) -> str:
        if asked == category:
            raise KeyError("scope")
        return whole(self, asked)

    monkeypatch.setattr(JobAdapter, "category_description", failing)
    other = Category.objects.create(slug="fele", name="Felemaking")
    with caplog.at_level(logging.ERROR):
        refresh_after_interval(models)
    assert description_texts(category) == parts(TUNING)
    assert description_texts(other) == {"Felemaking"}
    assert f"category {category.pk}" in caplog.text


def test_a_blank_description_is_not_an_exemplar(exemplars: None, monkeypatch: Any) -> None:
    monkeypatch.setattr(JobAdapter, "category_description", lambda self, category: " - ")
    descriptions.sync()
    assert not Exemplar.objects.filter(source=ExemplarSource.DESCRIPTION).exists()


def test_a_label_with_the_same_text_replaces_the_description(
    models: ModelLoader, admin_client: Client, tmp_path: Path
) -> None:
    fiddle = Category.objects.create(slug="fele", name="Felemaking")
    lute = Category.objects.create(slug="lutt", name="Luttmaking")
    refresh_after_interval(models)
    assert (description_texts(fiddle), description_texts(lute)) == ({"Felemaking"}, {"Luttmaking"})
    file = tmp_path / "labels.csv"
    file.write_text("text,category\nFelemaking,fele\n", encoding="utf-8")
    assert import_exemplars(str(file)).added == 1
    data = {"text": "Luttmaking", "category": lute.pk, "state": "active"}
    response = admin_client.post(reverse("admin:marketplace_ai_exemplar_add"), data)
    assert response.status_code == 302
    models.refresh()
    assert (description_texts(fiddle), description_texts(lute)) == (set(), set())
    labels = Exemplar.objects.filter(category__in=[fiddle, lute])
    assert set(labels.values_list("text", "source")) == {
        ("Felemaking", "imported"), ("Luttmaking", "imported"),
    }  # fmt: skip
    assert import_exemplars(str(file)).added == 0


def test_a_text_that_differs_at_each_call_is_left_alone(
    models: ModelLoader, monkeypatch: Any, caplog: Any
) -> None:
    category = tuning()
    refresh_after_interval(models)
    numbers = itertools.count()
    monkeypatch.setattr(
        JobAdapter, "category_description", lambda self, category: f"Piano {next(numbers)}"
    )
    refresh_after_interval(models)
    before = vector_store.generation()
    models._next_look = 0.0
    models.refresh()
    assert vector_store.generation() == before
    assert description_texts(category) == parts(TUNING)
    assert f"describes category {category.pk} otherwise each time" in caplog.text


def test_a_text_that_keeps_changing_is_replaced_once_per_interval(
    models: ModelLoader, monkeypatch: Any
) -> None:
    """The text is stable for two calls in a row, like a time of day or the order of a set."""
    category = tuning()
    refresh_after_interval(models)
    words = ["Piano 0"]
    monkeypatch.setattr(JobAdapter, "category_description", lambda self, category: words[0])
    refresh_after_interval(models)
    for number in range(1, 4):
        words[0] = f"Piano {number}"
        models._next_look = 0.0
        models.refresh()
        assert description_texts(category) == {"Piano 0", "Piano"}
    refresh_after_interval(models)
    assert description_texts(category) == {"Piano 3", "Piano"}


@contextmanager
def open_transaction(statement: str) -> Iterator[None]:
    """A transaction of the project that has run the statement and stays open."""
    host = connection.copy()
    host.set_autocommit(False)
    try:
        with host.cursor() as cursor:
            cursor.execute(statement)
        yield
    finally:
        host.rollback()
        host.close()


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT FROM marketplace_ai_exemplargeneration FOR UPDATE",
        "SELECT FROM marketplace_ai_category WHERE slug = 'piano' FOR UPDATE",
        f"SELECT pg_advisory_xact_lock({advisory_locks.DESCRIPTION_SYNC},"
        f" {advisory_locks.OBJECT % 0})",
    ],
)
@pytest.mark.django_db(transaction=True)
def test_postings_are_decided_while_the_project_locks_what_a_sync_needs(
    models: ModelLoader, statement: str
) -> None:
    category = tuning()
    models._next_look = 0.0
    job = JobPosting.objects.create(title="Male stue")
    with open_transaction(statement), connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '5s'")  # it would be an error, not a hang
        drain(models)
        assert current(job).category_key == "maling"
        assert description_texts(category) == set()
        cursor.execute("RESET lock_timeout")
    refresh_after_interval(models)
    assert description_texts(category) == parts(TUNING)


def test_postings_are_decided_though_the_adapter_fails_on_a_key(
    models: ModelLoader, monkeypatch: Any, caplog: Any
) -> None:
    category = tuning()
    whole = JobAdapter.category_key

    def failing(self: JobAdapter, asked: Category) -> str:
        if asked == category:
            raise KeyError("slug")
        return whole(self, asked)

    monkeypatch.setattr(JobAdapter, "category_key", failing)
    job = JobPosting.objects.create(title="Male stue")
    models._next_look = 0.0
    drain(models)
    assert current(job).category_key == "maling"
    assert "Descriptions are left as they are" in caplog.text
    monkeypatch.undo()
    refresh_after_interval(models)
    assert description_texts(category) == parts(TUNING)


@pytest.mark.django_db(transaction=True)
def test_several_workers_at_once_write_each_description_once(exemplars: None) -> None:
    category = tuning()
    together = threading.Barrier(4)
    failed: list[Exception] = []

    def work() -> None:
        try:
            together.wait(10)
            for _ in range(5):
                descriptions.sync()
        except Exception as error:  # noqa: BLE001 (shown by the assertion below)
            failed.append(error)
        finally:
            connections.close_all()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert not failed
    assert description_texts(category) == parts(TUNING)
    assert Decision.objects.count() == 0
