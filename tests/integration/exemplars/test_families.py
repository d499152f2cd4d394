"""The family of an exemplar: from files, postings, answers and people, up to the fit."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from marketplace_ai.adapter import JobAdapter
from marketplace_ai.audit import audited_postings
from marketplace_ai.audit.counted_answers import counted_answers
from marketplace_ai.exemplars.rescrub import scrub_exemplars
from marketplace_ai.fitting import labeled_postings
from marketplace_ai.fitting.train_test_overlap import without_exemplar_families
from marketplace_ai.guarantee.target import Target
from marketplace_ai.models import (
    AuditedPosting,
    Category,
    Encoder,
    Exemplar,
    ExemplarSource,
    JobPosting,
    Outcome,
)
from marketplace_ai.review.answers import AnswerError, answer
from marketplace_ai.taxonomy.follow_keys import follow_keys
from marketplace_ai.text.normalize import digest
from marketplace_ai.versions.exemplar_set import load_exemplars
from tests.integration.audit.factories import text_digest
from tests.integration.command_calls import call, call_json, refused
from tests.integration.worker_runs import fit

pytestmark = pytest.mark.django_db


def families() -> dict[str, str]:
    return dict(Exemplar.objects.values_list("text", "family"))


@pytest.fixture
def by_customer(monkeypatch: Any) -> None:
    """An adapter whose posting tells its customer in its last line."""
    monkeypatch.setattr(
        JobAdapter, "posting_family", lambda self, job: job.description.rpartition("#")[2] or None
    )


class TestFiles:
    def test_the_column_is_stored(self, catalog: Any, table: Any) -> None:
        call("import_exemplars", table("text,family,category\nMale,k 1,maling\nHei,,none\n"))
        assert families() == {"Male": "k 1", "Hei": ""}

    def test_a_second_import_corrects_what_it_names(self, catalog: Any, table: Any) -> None:
        first = "text,category,family\nMale,maling,1\nKlippe,plen,2\nHei,none,\n"
        call("import_exemplars", table(first))
        again = "text,category,family\nMale,maling,9\nKlippe,plen,\nHei,none,3\n"
        told = call("import_exemplars", table(again))
        assert "2 that were there already have the family now that the import names." in told
        assert families() == {"Male": "9", "Klippe": "2", "Hei": "3"}
        assert "the family now" not in call("import_exemplars", table(again))

    def test_one_text_is_of_the_first_family_named(self, catalog: Any, table: Any) -> None:
        rows = "Male,maling,\nMale,maling,4\nMale,maling,5\n"
        call("import_exemplars", table(f"text,category,family\n{rows}"))
        assert families() == {"Male": "4"}

    def test_a_text_in_the_column_is_refused(self, catalog: Any, table: Any) -> None:
        said = refused("import_exemplars", table(f"text,category,family\nx,maling,{'y' * 201}\n"))
        assert "line 2: the family has 201 characters" in said

    def test_personal_data_is_not_kept_and_names_the_same_family(
        self, catalog: Any, table: Any
    ) -> None:
        rows = "Male,maling,ola@firma.no\nKlippe,plen,ola@firma.no\nVask,plen,kari@firma.no\n"
        path = table(f"text,category,family\n{rows}")
        call("import_exemplars", path)
        stored = families()
        assert stored["Male"] == stored["Klippe"] != stored["Vask"]
        assert "firma" not in "".join(stored.values())
        # So it is in a file that calibrates: the names of both are compared.
        assert labeled_postings.read_file(path).families == [*stored.values()]

    def test_a_calibration_file_keeps_its_rows_families(self, catalog: Any, table: Any) -> None:
        read = labeled_postings.read_file(table("text,category,family\na,maling,1\nb,plen,\n"))
        assert read.families == ["1", ""]
        assert read.take([1]).families == [""]
        assert labeled_postings.read_file(table("text,category\na,maling\n")).families == []


@pytest.mark.usefixtures("by_customer")
class TestPostings:
    def test_from_jobs(self, catalog: dict[str, Category]) -> None:
        for title, description in (("Male", "#7"), ("Male tak", "#7"), ("Male vegg", "")):
            JobPosting.objects.create(
                title=title, description=description, category=catalog["maling"]
            )
        call("import_exemplars", from_jobs=True)
        assert sorted(families().values()) == ["", "7", "7"]
        assert "0 exemplars added, 3 were there" in call("import_exemplars", from_jobs=True)
        JobPosting.objects.filter(title="Male tak").update(description="#8")
        call("import_exemplars", from_jobs=True)  # another text, so another exemplar
        assert sorted(families().values()) == ["", "7", "7", "8"]

    def test_an_answer(self, catalog: dict[str, Category]) -> None:
        posting = JobPosting.objects.create(title="Male", description="#12")
        answer(posting.pk, catalog["maling"].pk, None)
        assert Exemplar.objects.get().family == "12"

    def test_an_audited_one(self, catalog: dict[str, Category]) -> None:
        posting = JobPosting.objects.create(title="Male", description="#12")
        AuditedPosting.objects.create(
            posting=posting, outcome=Outcome.REVIEW, text_digest=text_digest(posting),
            drawn_at=timezone.now(), draw_probability=0.01,
        )  # fmt: skip
        answer(posting.pk, catalog["maling"].pk, None)
        assert [row[2] for row in audited_postings.labeled_texts(counted_answers())] == ["12"]
        assert labeled_postings.read_audits(Target(0.5, 0.5)).postings.families == ["12"]

    def test_a_long_name_is_one_still(self, catalog: dict[str, Category]) -> None:
        for number in range(2):
            posting = JobPosting.objects.create(title=f"Male {number}", description="#" + "x" * 300)
            answer(posting.pk, catalog["maling"].pk, None)
        [name] = {*families().values()}
        assert 0 < len(name) <= 200

    def test_its_digest_cannot_be_made_without_the_secret_key(self, settings: Any) -> None:
        names = []
        for settings.SECRET_KEY in ("one", "other"):
            names.append(JobAdapter().prepared_family("x" * 300))
        assert names[0] != names[1]


def test_an_adapter_that_fails_is_named_and_loses_nothing(
    catalog: dict[str, Category], monkeypatch: Any
) -> None:
    monkeypatch.setattr(JobAdapter, "posting_family", lambda self, job: job.customer.pk)
    posting = JobPosting.objects.create(title="Male", category=catalog["maling"])
    with pytest.raises(AnswerError, match=r"adapter fails on this posting: AttributeError"):
        answer(posting.pk, catalog["plen"].pk, None)
    posting.refresh_from_db()
    assert posting.category == catalog["maling"]
    said = refused("import_exemplars", from_jobs=True)
    assert f"posting {posting.pk}: the adapter fails on it: AttributeError" in said
    assert "posting_family()" in said


def add(text: str, category: Category, key: str, **fields: Any) -> Exemplar:
    return Exemplar.objects.create(
        text=text, text_digest=digest(text), category=category, category_key=key,
        source=ExemplarSource.IMPORTED, **fields,
    )  # fmt: skip


def test_the_fit_gets_them(exemplars: None, catalog: dict[str, Category]) -> None:
    Exemplar.objects.filter(category=catalog["maling"]).update(family="k")
    fit()
    encoder = Encoder.objects.active()
    assert encoder is not None
    labels = load_exemplars(encoder).train
    assert {
        family for label, family in zip(labels.labels, labels.families, strict=True)
        if label == str(catalog["maling"].pk)
    } == {"k"}  # fmt: skip
    assert {*labels.families} == {"k", ""}


def test_a_trained_encoder_is_asked_about_other_families(catalog: dict[str, Category]) -> None:
    add("Male hele stua", catalog["maling"], "maling", family="k")
    labels = [(text, None) for text in ("Klippe plenen", "MALE hele stua!", "Bytte kran", "Hei du")]
    postings = labeled_postings.LabeledPostings(
        labels, kinds=[*"abcd"], families=["k", "", "l", ""]
    )
    left = without_exemplar_families(postings)
    assert [text for text, _ in left.rows] == ["Bytte kran", "Hei du"]
    assert (left.kinds, left.families) == (["c", "d"], ["l", ""])


class TestMerged:
    def test_by_a_renamed_category(self, catalog: dict[str, Category]) -> None:
        old = add("Male", catalog["maling"], "gammel")
        add("Male", catalog["maling"], "maling", family="3")
        follow_keys()
        old.refresh_from_db()
        assert families() == {"Male": "3"}

    def test_one_of_its_own_stays(self, catalog: dict[str, Category]) -> None:
        add("Male", catalog["maling"], "gammel", family="2")
        add("Male", catalog["maling"], "maling", family="3")
        follow_keys()
        assert families() == {"Male": "2"}

    def test_by_scrubbing(self, catalog: dict[str, Category]) -> None:
        add("Male, ring 900 00 014", catalog["maling"], "maling", family="3")
        add("Vask, ring 900 00 014", catalog["maling"], "maling", family="4")
        add("Male, ring …", catalog["maling"], "maling")
        scrub_exemplars()
        assert families() == {"Male, ring …": "3", "Vask, ring …": "4"}


class TestAdmin:
    def test_it_is_shown_searched_and_changed(
        self, admin_client: Client, catalog: dict[str, Category]
    ) -> None:
        row = add("Male", catalog["maling"], "maling", family="kunde-3")
        add("Klippe", catalog["plen"], "plen", family="kunde-4")
        changelist = reverse("admin:marketplace_ai_exemplar_changelist")
        found = admin_client.get(changelist, {"q": "kunde-3"}).content.decode()
        assert "kunde-3" in found
        assert "kunde-4" not in found
        assert (
            "Klippe" not in admin_client.get(changelist, {"family__isempty": "1"}).content.decode()
        )
        page = reverse("admin:marketplace_ai_exemplar_change", args=[row.pk])
        data = {"category": catalog["maling"].pk, "family": " ola@firma.no ", "state": "active"}
        assert admin_client.post(page, data).status_code == 302
        assert families()["Male"].startswith("family-")

    def test_one_is_added_with_it(self, admin_client: Client, catalog: dict[str, Category]) -> None:
        data = {
            "text": "Male", "category": catalog["maling"].pk, "family": "k", "state": "active"
        }  # fmt: skip
        add_page = reverse("admin:marketplace_ai_exemplar_add")
        assert admin_client.post(add_page, data).status_code == 302
        assert families() == {"Male": "k"}


class TestTold:
    def test_a_dry_run_says_what_the_texts_count_as(self, catalog: Any, table: Any) -> None:
        rows = "Male stue,maling,1\nKlippe gress,plen,1\nBytte kran,rorlegger,\nBYTTE KRAN,none,"
        path = table(f"text,category,family\n{rows}\n")
        told = call("import_exemplars", path, dry_run=True)
        assert "The 4 texts count as 2 families, the largest of 2:" in told
        assert "count as" not in call("import_exemplars", path)

    def test_as_json(self, catalog: Any, table: Any) -> None:
        path = table("text,category,family\nMale stue,maling,1\nKlippe gress,plen,1\n")
        told = call_json("import_exemplars", path, dry_run=True)
        assert (told["added"], told["new_family"], told["left_out"]["bad"]["n"]) == (2, 0, 0)
        assert told["family_sizes"] == {"rows": 2, "families": 1, "largest": 2}
        assert call_json("import_exemplars", path)["family_sizes"] is None

    def test_a_fit(self, exemplars: None, catalog: Any, table: Any) -> None:
        words = ("aa vegg", "ab tak", "ba list", "bb dør", "cx gulv")
        rows = "".join(f"Male {word},maling,{word[0]}\n" for word in words)
        path = table(f"text,category,family\n{rows}")
        found = call_json("fit_classifier", calibration=path, dry_run=True)
        assert found["family_sizes"] == {"rows": 5, "families": 3, "largest": 2}
        told = call("fit_classifier", calibration=path, dry_run=True)
        assert "The 5 labeled rows count as 3 families, the largest of 2:" in told
