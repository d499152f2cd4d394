"""Commands: whole or not at all, one clear sentence for bad input, exit codes that tell."""

from __future__ import annotations

import json
import re
import subprocess
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import authenticate, get_user_model
from django.core.management import CommandError, call_command
from django.db import DataError, IntegrityError, connection, transaction
from rich.console import Console

from config.management.commands import demo
from marketplace_ai.encoding import EncoderError
from marketplace_ai.lifecycle import descriptions
from marketplace_ai.models import (
    Category,
    ClassifierVersion,
    Decision,
    Exemplar,
    ExemplarSource,
    JobChange,
    JobPosting,
    Outcome,
    PendingJob,
    Priority,
)
from marketplace_ai.queue import intake
from marketplace_ai.queue.lease import Liveness
from tests.acceptance.workers import publishing_to

from .test_pipeline import automatic, current, drain, fit

pytestmark = pytest.mark.django_db


def call(name: str, *args: Any, **options: Any) -> str:
    out = StringIO()
    call_command(name, *args, stdout=out, **options)
    return out.getvalue()


def call_json(name: str, *args: Any, **options: Any) -> dict[str, Any]:
    """The one JSON object on stdout; anything beside it makes this fail."""
    return dict(json.loads(call(name, *args, json=True, **options)))


def refused(name: str, *args: Any, **options: Any) -> str:
    """The sentence of a command that refuses its input with exit code 2."""
    with pytest.raises(CommandError) as caught:
        call(name, *args, **options)
    assert caught.value.returncode == 2
    return str(caught.value)


def failed(name: str, *args: Any, **options: Any) -> str:
    """The sentence of a command that was rightly asked and could not do it: exit code 1."""
    with pytest.raises(CommandError) as caught:
        call(name, *args, **options)
    assert caught.value.returncode == 1
    return str(caught.value)


@pytest.fixture
def table(tmp_path: Path) -> Any:
    """Writes a file; its path as a command gets it."""

    def write(content: str | bytes) -> str:
        file = tmp_path / "table.csv"
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(file)

    return write


@pytest.fixture
def fitted(exemplars: None) -> None:
    fit()


class TestImportCatalog:
    def test_rows_may_come_in_any_order(self, table: Any) -> None:
        file = table("slug,parent,name_nb\nc,b,C\nb,a,B\na,,A\n")
        assert call("import_catalog", file) == "3 categories loaded.\n"
        assert Category.objects.get(slug="c").parent.parent.slug == "a"

    def test_a_parent_may_be_there_already(self, catalog: Any, table: Any) -> None:
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
            ("ny,ukjent,Ny", "line 3: the parent 'ukjent' is neither in the file nor"),
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

    def test_a_circle_through_what_is_there_is_refused(self, catalog: Any, table: Any) -> None:
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
        assert call("import_exemplars", file, create_categories=True, dry_run=True) == said
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

    @pytest.mark.parametrize("row", [",none", '"  ",none', "\u200b,none", "?!,maling"])
    def test_a_text_that_says_nothing_is_refused(self, catalog: Any, table: Any, row: str) -> None:
        said = refused("import_exemplars", table(f"text,category\nMale,maling\n{row}\n"))
        assert "line 3: the text has no letter and no digit." in said
        assert Exemplar.objects.count() == 0

    def test_punctuation_may_show_what_fits_no_category(self, table: Any) -> None:
        call("import_exemplars", table("text,category\n???,none\n"))
        assert Exemplar.objects.get().is_none

    def test_an_empty_category_is_refused(self, catalog: Any, table: Any) -> None:
        said = refused("import_exemplars", table("text,category\nMale,\n"))
        assert "line 2: the category is empty; write 'none'" in said

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ("text,category\nrør,none\n".encode("latin-1"), "line 2: not UTF-8"),
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
        labelled = Exemplar.objects.exclude(source="description")
        assert labelled.count() == 0
        call("import_exemplars", from_jobs=True)
        assert list(labelled.values_list("text", "source")) == [("Klippe gress", "host")]

    def test_texts_are_cleaned_as_those_of_postings_are(
        self, catalog: Any, table: Any, monkeypatch: Any
    ) -> None:
        from marketplace_ai.adapter import JobAdapter

        monkeypatch.setattr(JobAdapter, "clean", lambda self, text: text.replace("12345678", ""))
        file = table("text,category\nMale stue 12345678,maling\n")
        call("import_exemplars", file)
        assert Exemplar.objects.get().text == "Male stue"
        only_a_number = table("text,category\n12345678,maling\n")
        assert "line 2: the text has no letter" in refused("import_exemplars", only_a_number)

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
        assert f"The adapter fails on the posting {bad.pk}: KeyError: 'Klippe'" in said
        assert Exemplar.objects.count() == 0

    def test_from_jobs_takes_postings_without_a_date_last(
        self, catalog: Any, monkeypatch: Any
    ) -> None:

        with connection.cursor() as cursor:
            cursor.execute(
                "ALTER TABLE marketplace_ai_jobposting ALTER COLUMN created DROP NOT NULL"
            )
            for title, created in (("Ny", "2026-02-01"), ("Gammel", "2020-01-01"), ("Uten", None)):
                job = JobPosting.objects.create(title=title, category=catalog["maling"])
                cursor.execute(
                    "UPDATE marketplace_ai_jobposting SET created = %s WHERE id = %s",
                    [created, job.pk],
                )
        call("import_exemplars", from_jobs=True, per_category=1)
        assert Exemplar.objects.get().text == "Ny"


class TestImportJobs:
    def test_postings_come_in_by_the_door_of_any_other(self, fitted: None, table: Any) -> None:
        file = table('title,description,extra\nMale stue,"To rom,\nca 40 kvm",x\nBytte kran,,y\n')
        assert call("import_jobs", file) == "2 postings created.\n"
        drain()
        assert set(Decision.objects.values_list("job__title", "category_key")) == {
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

    def test_what_only_the_database_refuses_is_named_too(self, table: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("CREATE UNIQUE INDEX ON marketplace_ai_jobposting (title)")
        file = table("title,description\nMale,\nMale,igjen\n")
        assert "line 3: the database refuses it: duplicate key" in refused("import_jobs", file)
        assert JobPosting.objects.count() == JobChange.objects.count() == 0

    def test_a_dry_run_writes_nothing(self, table: Any) -> None:
        file = table("title,description\nMale,\n")
        assert call("import_jobs", file, dry_run=True) == "1 postings would be created.\n"
        assert JobPosting.objects.count() == 0


class TestHostileTexts:
    def test_what_postgresql_refuses_is_the_hosts_error_alone(self, fitted: None) -> None:
        JobPosting.objects.create(title="Male stue")
        with pytest.raises((DataError, ValueError), match="NUL"), transaction.atomic():
            JobPosting.objects.create(title="Male\x00stue")
        with pytest.raises(UnicodeEncodeError), transaction.atomic():
            JobPosting.objects.create(title="Male\ud800stue")
        drain()
        assert list(Decision.objects.values_list("job__title", flat=True)) == ["Male stue"]

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
        assert PendingJob.objects.count() == 0

    def test_an_adapter_that_fails_on_one_posting_costs_no_other(
        self, fitted: None, monkeypatch: Any, settings: Any
    ) -> None:
        from marketplace_ai.adapter import JobAdapter

        settings.MARKETPLACE_AI_MAX_ATTEMPTS = 1
        monkeypatch.setattr(JobAdapter, "clean", lambda self, text: {"Male": "Male stue"}[text])
        good, bad = JobPosting.objects.create(title="Male"), JobPosting.objects.create(title="Tak")
        drain()
        assert current(good).category_key == "maling"
        row = PendingJob.objects.get()
        assert (row.job_id, row.last_error) == (bad.pk, "KeyError: 'Tak'")


def older(*titles: str, category: Category | None = None) -> list[JobPosting]:
    """Postings from before the app was installed."""
    jobs = JobPosting.objects.bulk_create(
        [JobPosting(title=title, category=category) for title in titles]
    )
    JobChange.objects.all().delete()
    return jobs


class TestBackfill:
    def test_a_dry_run_counts_and_queues_nothing(self, fitted: None) -> None:
        older("Male", "Kran")
        result = call_json("backfill_embeddings", dry_run=True)
        assert (result["missing"], result["queued"], result["pending"]) == (2, 0, 0)
        assert PendingJob.objects.count() == 0
        assert call("backfill_embeddings", dry_run=True).startswith("2 postings have no vector")

    def test_it_goes_on_where_it_stopped(self, fitted: None) -> None:
        older(*"abcde")
        first = call_json("backfill_embeddings", limit=2)
        assert (first["missing"], first["queued"], first["pending"]) == (2, 2, 2)
        drain()
        second = call_json("backfill_embeddings")
        assert (second["missing"], second["queued"], second["pending"]) == (3, 3, 3)
        assert call_json("backfill_embeddings")["queued"] == 0
        drain()
        assert Decision.objects.filter(current=True).count() == 5
        assert call_json("backfill_embeddings")["missing"] == 0

    def test_fresh_postings_go_first(self, fitted: None) -> None:
        old = older("Male stue")
        call("backfill_embeddings")
        fresh = JobPosting.objects.create(title="Bytte kran")
        intake.collect()
        order = PendingJob.objects.order_by("-priority").values_list("job_id", "priority")
        assert list(order) == [(fresh.pk, Priority.FRESH), (old[0].pk, Priority.BACKFILL)]
        from marketplace_ai.queue.claim import claim

        taken = claim(1)
        assert taken is not None
        assert [row.job_id for row in taken.rows] == [fresh.pk, old[0].pk]

    def test_what_has_a_category_keeps_it(
        self, fitted: None, catalog: Any, monkeypatch: Any
    ) -> None:
        automatic(monkeypatch, catalog["maling"], Outcome.AUTOMATIC)
        (labelled,) = older("Klippe gress", category=catalog["plen"])
        (bare,) = older("Male stue")
        call("backfill_embeddings")
        drain()
        labelled.refresh_from_db()
        bare.refresh_from_db()
        assert (labelled.category, current(labelled).outcome) == (catalog["plen"], Outcome.KEPT)
        assert (bare.category, current(bare).outcome) == (catalog["maling"], Outcome.AUTOMATIC)

    def test_vectors_only_decides_nothing(self, fitted: None) -> None:
        older("Male stue")
        call("backfill_embeddings", vectors_only=True)
        drain()
        assert not Decision.objects.exists()
        assert call_json("backfill_embeddings", vectors_only=True)["missing"] == 0
        # What nobody decided is for a backfill that decides.
        assert call_json("backfill_embeddings")["missing"] == 1

    def test_since(self, fitted: None) -> None:
        old, _new = older("Male", "Kran")
        JobPosting.objects.filter(pk=old.pk).update(created="2020-01-01T12:00Z")
        assert call_json("backfill_embeddings", since="2021-01-01")["queued"] == 1
        assert call_json("backfill_embeddings", since="2020-01-01")["queued"] == 1

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"since": "01.02.2026"}, "--since must be a date such as 2026-01-31"),
            ({"since": "2026-02-30"}, "--since must be a date"),
            ({"limit": 0}, "--limit must be 1 or more, not 0."),
            ({"limit": -3}, "--limit must be 1 or more"),
            ({"encoder": "other"}, "'other' is neither the active encoder"),
        ],
    )
    def test_bad_options(self, fitted: None, options: Any, said: str) -> None:
        older("Male")
        assert said in refused("backfill_embeddings", **options)
        assert PendingJob.objects.count() == 0

    def test_without_an_encoder(self) -> None:
        assert "There is no encoder yet" in refused("backfill_embeddings")

    def test_waiting_without_a_worker_ends_with_a_cure(self, fitted: None) -> None:
        older("Male")
        said = failed("backfill_embeddings", wait=True, json=True)
        assert "No worker is running; what is queued stays queued." in said
        assert PendingJob.objects.count() == 1


def doctor(capsys: Any) -> tuple[bool, dict[str, Any]]:
    """(healthy, findings by name); its exit code and its words must agree."""
    out, code = StringIO(), 0
    try:
        call_command("doctor", json=True, stdout=out)
    except SystemExit as end:
        code = int(str(end.code))
    report = json.loads(out.getvalue())
    assert code == (0 if report["ok"] else 1)
    assert report["ok"] == all(finding["ok"] for finding in report["findings"])
    assert capsys.readouterr().out == ""
    return report["ok"], {finding["name"]: finding for finding in report["findings"]}


class TestDoctor:
    def test_an_empty_installation(self, capsys: Any) -> None:
        healthy, findings = doctor(capsys)
        assert not healthy
        assert "import_exemplars" in findings["exemplars"]["cure"]
        assert "process_pending" in findings["worker"]["cure"]
        assert findings["database"]["ok"]
        assert findings["broker"]["ok"]
        assert findings["trigger"]["ok"]

    def test_all_is_well(self, fitted: None, capsys: Any) -> None:
        worker = Liveness()
        worker.hold()
        try:
            healthy, findings = doctor(capsys)
        finally:
            worker.close()
        assert healthy, [f for f in findings.values() if not f["ok"]]
        assert findings["worker"]["message"].startswith("1 running")

    def test_a_disabled_trigger(self, capsys: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "ALTER TABLE marketplace_ai_jobposting DISABLE TRIGGER marketplace_ai_edited"
            )
        finding = doctor(capsys)[1]["trigger"]
        assert not finding["ok"]
        assert finding["cure"] == (
            "ALTER TABLE marketplace_ai_jobposting ENABLE TRIGGER marketplace_ai_edited"
        )

    def test_what_was_set_aside_and_what_waits(self, posting: JobPosting, capsys: Any) -> None:
        intake.collect()
        PendingJob.objects.update(queued="2026-01-01T00:00Z")
        assert not doctor(capsys)[1]["queue"]["ok"]
        PendingJob.objects.update(set_aside="2026-01-01T00:00Z")
        findings = doctor(capsys)[1]
        assert findings["queue"]["ok"]
        assert findings["set aside"]["message"].startswith("1 postings")

    def test_a_rescan_is_asked_for(self, capsys: Any) -> None:
        JobChange.objects.create(kind="rescan", logged="2026-01-01T00:00Z")
        assert "backfill_embeddings" in doctor(capsys)[1]["rescan"]["cure"]

    def test_a_broker_that_is_gone(self, capsys: Any) -> None:
        with publishing_to("redis://127.0.0.1:1/0"):
            finding = doctor(capsys)[1]["broker"]
        assert not finding["ok"]
        assert "Start Redis" in finding["cure"]

    def test_a_classifier_that_is_not_fitted(self, exemplars: None, capsys: Any) -> None:
        assert "fit_classifier" in doctor(capsys)[1]["classifier"]["cure"]

    def test_in_words(self) -> None:
        out = StringIO()
        with pytest.raises(SystemExit):
            call_command("doctor", stdout=out, no_color=True)
        assert "FAIL exemplars: There are no exemplars." in out.getvalue()
        assert "→ Run manage.py import_exemplars FILE" in out.getvalue()


class TestFitClassifier:
    def test_without_exemplars(self) -> None:
        assert "run import_exemplars first" in refused("fit_classifier")

    @pytest.mark.parametrize(
        ("error", "said"),
        [
            (EncoderError("The weights are gone."), "The weights are gone."),
            (IntegrityError("duplicate key"), "Another fit_classifier"),
        ],
    )
    def test_what_comes_in_between_is_one_sentence(
        self, exemplars: None, monkeypatch: Any, error: Exception, said: str
    ) -> None:
        from marketplace_ai.lifecycle import fitting

        def fit_fails(*args: Any, **options: Any) -> None:
            raise error

        monkeypatch.setattr(fitting, "fit", fit_fails)
        assert failed("fit_classifier").startswith(said)

    def test_its_figures(self, exemplars: None) -> None:
        result = call_json("fit_classifier")
        version = ClassifierVersion.objects.get(in_force=True)
        assert result["version"] == version.pk
        assert result["calibrated_on"] == "exemplars"
        assert (result["target_precision"], result["confidence"]) == (0.97, 0.95)
        assert {"automatic", "parent", "none", "categories"} <= result.keys()

    def test_too_few_exemplars_are_said_in_words(self, exemplars: None, catalog: Any) -> None:
        lawns = Exemplar.objects.filter(category=catalog["plen"])
        lawns.filter(pk__in=list(lawns.values_list("pk", flat=True)[:2])).delete()
        lines = call("fit_classifier").splitlines()
        said = [line for line in lines if "too few exemplars" in line]
        assert len(said) == 1
        assert said[0].startswith("plen")
        assert "too few exemplars (2 of 3), by its own rows only" in said[0]

    def test_doctor_counts_categories_with_nothing_but_a_description(
        self, fitted: None, capsys: Any
    ) -> None:
        Category.objects.create(slug="piano", name="Pianostemming")
        descriptions.align()
        _, findings = doctor(capsys)
        said = "16 vote; categories with nothing but their description: 1"
        assert findings["exemplars"]["message"] == said

    def test_with_labelled_postings(self, exemplars: None, table: Any) -> None:
        rows = [f"Male rom {n},maling\nBytte kran {n},rorlegger\nHei {n},none" for n in range(12)]
        file = table("\n".join(["text,category", *rows]) + "\n")
        result = call_json("fit_classifier", calibration=file, target_precision=0.8)
        assert result["calibrated_on"] == "postings"
        assert result["target_precision"] == 0.8

    @pytest.mark.parametrize("value", [0, 1, -1, 1.5, 97, float("nan")])
    @pytest.mark.parametrize("name", ["target_precision", "confidence"])
    def test_a_promise_must_be_a_share(self, exemplars: None, name: str, value: float) -> None:
        assert "must lie between 0 and 1" in refused("fit_classifier", **{name: value})

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ("text,category\nMale,ukjent\n", "line 2: there is no category 'ukjent'"),
            ("text,category\n,maling\n", "line 2: the text is empty"),
            ("category\nmaling\n", "it needs a column text, or title and description"),
            ("text,category\n", "there is no row below the header"),
        ],
    )
    def test_a_calibration_file_that_cannot_be_used(
        self, exemplars: None, table: Any, content: str, said: str
    ) -> None:
        assert said in refused("fit_classifier", calibration=table(content))
        assert not ClassifierVersion.objects.exists()


class TestDemosAdministrator:
    def test_on_its_own_server_everyone_may_know_the_password(self) -> None:
        out = StringIO()
        assert demo.administrator(Console(file=out), own_server=True) == "demo"
        assert authenticate(username="demo", password="demo").is_superuser
        assert out.getvalue() == ""

    def test_on_somebodys_server_the_password_is_random_and_said_once(self) -> None:
        out = StringIO()
        demo.administrator(Console(file=out, width=110), own_server=False)
        assert "a server of yours" in out.getvalue()
        said = re.search(r"with the password (\S+)", out.getvalue())
        assert said and authenticate(username="demo", password=said[1]).is_superuser
        assert authenticate(username="demo", password="demo") is None
        again = StringIO()
        demo.administrator(Console(file=again, width=110), own_server=False)
        assert said[1] not in again.getvalue()
        assert get_user_model().objects.count() == 1


def test_the_tests_ask_for_chromium_before_anything_is_installed() -> None:
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        ["make", "-Bn", "test"], cwd=root, capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.index("command -v chromium") < done.stdout.index("pip install")
