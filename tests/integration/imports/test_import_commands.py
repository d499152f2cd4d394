"""Imports of categories, exemplars and postings: all rows or none, whatever the files contain."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import DataError, connection, transaction

from marketplace_ai.models import (
    Category,
    Decision,
    Exemplar,
    ExemplarSource,
    JobPosting,
    Outcome,
    PostingChange,
    QueuedPosting,
)
from tests.integration.command_calls import call, refused
from tests.integration.worker_runs import automatic, current, drain

pytestmark = pytest.mark.django_db


class TestImportCatalog:
    def test_rows_may_come_in_any_order(self, table: Any) -> None:
        file = table("slug,parent,name_nb\nc,b,C\nb,a,B\na,,A\n")
        assert call("import_catalog", file) == "3 categories loaded.\n"
        assert Category.objects.get(slug="c").parent.parent.slug == "a"

    def test_a_parent_may_exist_already(self, catalog: Any, table: Any) -> None:
        call("import_catalog", table("slug,parent,name_nb\ntapet,bygg,Tapet\n"))
        assert Category.objects.get(slug="tapet").parent == catalog["bygg"]

    def test_a_second_import_updates(self, catalog: Any, table: Any) -> None:
        call("import_catalog", table("slug,parent,name_nb,name_en\nplen,bygg,Plen,Lawn\n"))
        changed = Category.objects.get(slug="plen")
        assert changed.pk == catalog["plen"].pk
        assert (changed.parent, changed.name, changed.name_en) == (catalog["bygg"], "Plen", "Lawn")
        assert Category.objects.count() == len(catalog)

    def test_columns_that_the_file_lacks_are_left_alone(self, catalog: Any, table: Any) -> None:
        call("import_catalog", table("slug,parent,name_nb\nplen,hage,Plen\n"))
        changed = Category.objects.get(slug="plen")
        assert (changed.name_en, changed.scope) == ("Lawns", "klippe gress")

    @pytest.mark.parametrize(
        ("rows", "said"),
        [
            ("ny,ukjent,Ny", "line 3: the parent 'ukjent' has no row of its own"),
            ("a,,A igjen", "line 3: the slug 'a' stands in line 2 already."),
            (",,Uten", "line 3: slug and name_nb must not be empty."),
            ("uten,,", "line 3: slug and name_nb must not be empty."),
            ("none,,Ingen", "line 3: the slug 'none' is kept"),
            ("b,c,B\nc,b,C", "line 3: 'b' would be its own ancestor."),
            ("b,b,B", "line 3: 'b' would be its own ancestor."),
            ("d,b,D\nb,c,B\nc,b,C", "line 4: 'b' would be its own ancestor."),
            (f"b,,{'x' * 201}", "line 3: name: Ensure this value has at most 200"),
            (f"{'x' * 101},,B", "line 3: slug: Ensure this value has at most 100"),
            ("bø er,,B", "line 3: slug: Enter a valid"),
        ],
    )
    def test_a_wrong_row_is_named_and_nothing_is_written(
        self, table: Any, rows: str, said: str
    ) -> None:
        file = table(f"slug,parent,name_nb\na,,A\n{rows}\n")
        assert f"{file}, {said}" in refused("import_catalog", file)
        assert f"{file}, {said}" in refused("import_catalog", file, dry_run=True)
        assert Category.objects.count() == 0

    def test_a_cycle_through_existing_categories_is_refused(self, catalog: Any, table: Any) -> None:
        said = refused("import_catalog", table("slug,parent,name_nb\nbygg,maling,Bygg\n"))
        assert "line 2: 'bygg' would be its own ancestor" in said
        assert Category.objects.get(slug="bygg").parent is None

    def test_a_dry_run_writes_nothing(self, table: Any) -> None:
        file = table("slug,parent,name_nb\na,,A\n")
        assert call("import_catalog", file, dry_run=True) == "1 categories would be loaded.\n"
        assert Category.objects.count() == 0


class TestImportExemplars:
    def test_an_unknown_category_is_named_with_the_cure(self, catalog: Any, table: Any) -> None:
        file = table("text,category\nMale,maling\nFlis,fliser\n")
        said = refused("import_exemplars", file)
        assert said.startswith(f"{file}, line 3: there is no category 'fliser'.")
        assert "--create-categories" in said
        assert Exemplar.objects.count() == 0

    def test_categories_are_created_when_asked(self, catalog: Any, table: Any) -> None:
        file = table("text,category\nFlis,fliser\nMale,maling\nFlis på bad,fliser\n")
        said = "3 exemplars would be added, 0 were there already, 1 categories created.\n"
        told = call("import_exemplars", file, create_categories=True, dry_run=True)
        assert told.startswith(said)
        assert not Category.objects.filter(slug="fliser").exists()
        assert Exemplar.objects.count() == 0
        call("import_exemplars", file, create_categories=True)
        created = Category.objects.get(slug="fliser")
        assert created.name == "fliser"
        assert Exemplar.objects.filter(category=created).count() == 2

    def test_a_category_that_cannot_be_created_is_named(self, table: Any) -> None:
        file = table(f"text,category\nMale,maling\nFlis,{'f' * 101}\n")
        said = refused("import_exemplars", file, create_categories=True)
        assert said.startswith(f"{file}, line 3: slug: Ensure this value has at most 100")
        assert Category.objects.count() == Exemplar.objects.count() == 0

    def test_none_marks_what_fits_no_category(self, table: Any) -> None:
        call("import_exemplars", table("text,category\nHei,none\n"))
        exemplar = Exemplar.objects.get()
        assert (exemplar.is_none, exemplar.category, exemplar.category_key) == (True, None, "")
        assert exemplar.source == ExemplarSource.IMPORTED

    def test_a_second_import_adds_nothing(self, catalog: Any, table: Any) -> None:
        file = table("text,category\nMale,maling\nMale ,maling\nMale,none\n")
        assert call("import_exemplars", file).startswith("2 exemplars added, 0 were there")
        assert call("import_exemplars", file).startswith("0 exemplars added, 2 were there")
        assert Exemplar.objects.count() == 2

    @pytest.mark.parametrize("row", [",none", '"  ",none', "\u200b,none"])
    def test_an_empty_text_is_refused(self, catalog: Any, table: Any, row: str) -> None:
        said = refused("import_exemplars", table(f"text,category\nMale,maling\n{row}\n"))
        assert "line 3: the text is empty. Fill it in, or remove the row." in said
        assert Exemplar.objects.count() == 0

    def test_an_empty_category_is_refused(self, catalog: Any, table: Any) -> None:
        said = refused("import_exemplars", table("text,category\nMale,\n"))
        assert "line 2: the category is empty; write 'none'" in said

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (
                "text,category\nrør,none\n".encode("cp865"),
                "line 2: byte 0x9b after 'r' is not UTF-8",
            ),
            ("tekst,category\na,none\n", "the column 'text' is missing"),
            ("text,category\na\x00,none\n", "line 2: a NUL character"),
            ("text,category\nstue, gang,none\n", "line 2: 3 cells where the header has 2"),
            ("", "the column 'text' is missing"),
        ],
    )
    def test_a_file_that_cannot_be_used(self, table: Any, content: Any, said: str) -> None:
        assert said in refused("import_exemplars", table(content))
        assert Exemplar.objects.count() == 0

    def test_one_source_must_be_given(self, table: Any) -> None:
        assert "either" in refused("import_exemplars")
        assert "either" in refused("import_exemplars", table(""), from_jobs=True)
        assert "--per-category" in refused("import_exemplars", from_jobs=True, per_category=0)

    def test_from_jobs_takes_peoples_labels_and_never_the_machines(
        self, fitted: None, catalog: Any, monkeypatch: Any
    ) -> None:
        Exemplar.objects.all().delete()
        automatic(monkeypatch, catalog["maling"], Outcome.AUTOMATIC)
        JobPosting.objects.create(title="Male gjerde")
        drain()
        JobPosting.objects.create(title="Klippe gress", category=catalog["plen"])
        said = call("import_exemplars", from_jobs=True, dry_run=True)
        assert said.startswith("1 exemplars would be added")
        labeled = Exemplar.objects.exclude(source="description")
        assert labeled.count() == 0
        call("import_exemplars", from_jobs=True)
        assert list(labeled.values_list("text", "source")) == [("Klippe gress", "posting")]

    def test_texts_are_cleaned_as_those_of_postings_are(
        self, catalog: Any, table: Any, monkeypatch: Any
    ) -> None:
        from marketplace_ai.adapter import JobAdapter

        monkeypatch.setattr(JobAdapter, "clean", lambda self, text: text.replace("12345678", ""))
        file = table("text,category\nMale stue 12345678,maling\n")
        call("import_exemplars", file)
        assert Exemplar.objects.get().text == "Male stue"
        only_a_number = table("text,category\n12345678,maling\n")
        assert call("import_exemplars", only_a_number).startswith("0 exemplars added")

    def test_a_row_that_the_adapter_cannot_clean_is_named(
        self, catalog: Any, table: Any, monkeypatch: Any
    ) -> None:
        from marketplace_ai.adapter import JobAdapter

        monkeypatch.setattr(JobAdapter, "clean", lambda self, text: {"Male": text}[text])
        said = refused("import_exemplars", table("text,category\nMale,maling\nTak,maling\n"))
        assert "line 3: the adapter's clean() fails on this text: KeyError: 'Tak'" in said
        assert Exemplar.objects.count() == 0

    def test_from_jobs_names_a_posting_that_the_adapter_cannot_read_and_writes_nothing(
        self, catalog: Any, monkeypatch: Any
    ) -> None:
        from marketplace_ai.adapter import JobAdapter

        JobPosting.objects.create(title="Male", category=catalog["maling"])
        bad = JobPosting.objects.create(title="Klippe", category=catalog["plen"])
        monkeypatch.setattr(JobAdapter, "clean", lambda self, text: {"Male": text}[text])
        said = refused("import_exemplars", from_jobs=True)
        assert f"posting {bad.pk}: the adapter fails on it: KeyError: 'Klippe'" in said
        assert Exemplar.objects.count() == 0

    def test_from_jobs_takes_postings_without_a_date_last(
        self, catalog: Any, monkeypatch: Any
    ) -> None:

        with connection.cursor() as cursor:
            cursor.execute(
                "ALTER TABLE marketplace_ai_jobposting ALTER COLUMN created_at DROP NOT NULL"
            )
            for title, created in (("Ny", "2026-02-01"), ("Gammel", "2020-01-01"), ("Uten", None)):
                job = JobPosting.objects.create(title=title, category=catalog["maling"])
                cursor.execute(
                    "UPDATE marketplace_ai_jobposting SET created_at = %s WHERE id = %s",
                    [created, job.pk],
                )
        call("import_exemplars", from_jobs=True, per_category=1)
        assert Exemplar.objects.get().text == "Ny"


class TestImportJobs:
    def test_imported_postings_are_processed_like_any_other(self, fitted: None, table: Any) -> None:
        file = table('title,description,extra\nMale stue,"To rom,\nca 40 kvm",x\nBytte kran,,y\n')
        assert call("import_jobs", file) == "2 postings created.\n"
        drain()
        assert set(Decision.objects.values_list("posting__title", "category_key")) == {
            ("Male stue", "maling"),
            ("Bytte kran", "rorlegger"),
        }

    @pytest.mark.parametrize(
        ("row", "said"),
        [
            (f"{'x' * 301},", "line 3: title: Ensure this value has at most 300"),
            (",uten tittel", "line 3: title: This field cannot be blank."),
        ],
    )
    def test_a_wrong_row_is_named_and_nothing_is_written(
        self, table: Any, row: str, said: str
    ) -> None:
        file = table(f"title,description\nMale,\n{row}\n")
        assert said in refused("import_jobs", file)
        assert said in refused("import_jobs", file, dry_run=True)
        assert JobPosting.objects.count() == 0

    def test_a_row_that_only_the_database_refuses_is_named_too(self, table: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("CREATE UNIQUE INDEX ON marketplace_ai_jobposting (title)")
        file = table("title,description\nMale,\nMale,igjen\n")
        assert "line 3: the database refuses it: duplicate key" in refused("import_jobs", file)
        assert JobPosting.objects.count() == PostingChange.objects.count() == 0

    def test_a_dry_run_writes_nothing(self, table: Any) -> None:
        file = table("title,description\nMale,\n")
        assert call("import_jobs", file, dry_run=True) == "1 postings would be created.\n"
        assert JobPosting.objects.count() == 0


class TestHostileTexts:
    def test_a_value_that_postgresql_refuses_raises_in_the_project_alone(
        self, fitted: None
    ) -> None:
        JobPosting.objects.create(title="Male stue")
        with pytest.raises((DataError, ValueError), match="NUL"), transaction.atomic():
            JobPosting.objects.create(title="Male\x00stue")
        with pytest.raises(UnicodeEncodeError), transaction.atomic():
            JobPosting.objects.create(title="Male\ud800stue")
        drain()
        assert list(Decision.objects.values_list("posting__title", flat=True)) == ["Male stue"]

    def test_what_an_adapter_returns_may_hold_anything(
        self, fitted: None, monkeypatch: Any
    ) -> None:
        from marketplace_ai.adapter import JobAdapter

        monkeypatch.setattr(
            JobAdapter, "text", lambda self, job: f"{job.title} \udfff\x00\ud800 hver uke"
        )
        jobs = [JobPosting.objects.create(title=t) for t in ("Klippe gress", "Male stue")]
        drain()
        assert [current(job).category_key for job in jobs] == ["plen", "maling"]
        assert QueuedPosting.objects.count() == 0

    def test_an_adapter_that_fails_on_one_posting_costs_no_other(
        self, fitted: None, monkeypatch: Any, settings: Any
    ) -> None:
        from marketplace_ai.adapter import JobAdapter

        settings.MARKETPLACE_AI_MAX_ATTEMPTS = 1
        monkeypatch.setattr(JobAdapter, "clean", lambda self, text: {"Male": "Male stue"}[text])
        good, bad = JobPosting.objects.create(title="Male"), JobPosting.objects.create(title="Tak")
        drain()
        assert current(good).category_key == "maling"
        row = QueuedPosting.objects.get()
        assert (row.posting_id, row.last_error) == (bad.pk, "KeyError: 'Tak'")
