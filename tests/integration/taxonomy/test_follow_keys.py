"""Exemplars follow the keys of their categories, and come back with them."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection, connections, transaction

from marketplace_ai.adapter import JobAdapter
from marketplace_ai.db import advisory_locks
from marketplace_ai.doctor.classifier import exemplars as doctor_exemplars
from marketplace_ai.models import (
    AutomationStop,
    Category,
    Exemplar,
    ExemplarSource,
    ExemplarState,
    JobPosting,
)
from marketplace_ai.review.answers import answer
from marketplace_ai.serving.active_model import ModelLoader
from marketplace_ai.taxonomy import follow_keys as following
from marketplace_ai.taxonomy.follow_keys import Followed, follow_keys, follow_safely
from marketplace_ai.text.normalize import digest
from tests.conftest import EXEMPLARS
from tests.faults.stepping import WAITING
from tests.integration.command_calls import call

pytestmark = pytest.mark.django_db


def add(text: str, category: Category | None, key: str, **fields: Any) -> Exemplar:
    values = {"source": ExemplarSource.IMPORTED, **fields}
    return Exemplar.objects.create(
        text=text, text_digest=digest(text), category=category, category_key=key, **values
    )


def rename(category: Category, key: str) -> None:
    Category.objects.filter(pk=category.pk).update(slug=key)


def keys(category: Category) -> list[str]:
    rows = Exemplar.objects.filter(category=category).order_by("pk")
    return list(rows.values_list("category_key", flat=True))


def until(query: str, count: int) -> None:
    """Wait for the database to say so."""
    for _ in range(600):
        with connection.cursor() as cursor:
            cursor.execute(query)
            if cursor.fetchone()[0] >= count:
                return
            cursor.execute("SELECT pg_sleep(0.05)")
    raise AssertionError(query)


@pytest.fixture
def csv(tmp_path: Any) -> Any:
    """The same exemplars again, as a file with other keys."""

    def write(**renamed: str) -> str:
        lines = [
            f'"{text}",{renamed.get(key, key)}'
            for key, texts in EXEMPLARS.items()
            for text in texts
        ]
        file = tmp_path / "again.csv"
        file.write_text("\n".join(["text,category", *lines]) + "\n", encoding="utf-8")
        return str(file)

    return write


class TestRenamed:
    def test_nothing_to_do_costs_two_queries(
        self, exemplars: None, django_assert_num_queries: Any
    ) -> None:
        with django_assert_num_queries(2):
            assert follow_keys() == Followed()

    def test_a_second_import_with_the_new_key_doubles_nothing(
        self, exemplars: None, catalog: Any, csv: Any
    ) -> None:
        count = Exemplar.objects.count()
        rename(catalog["maling"], "malearbeid")
        told = call("import_exemplars", csv(maling="malearbeid"))
        assert told == f"0 exemplars added, {count} were there already, 0 categories created.\n"
        assert Exemplar.objects.count() == count
        assert keys(catalog["maling"]) == ["malearbeid"] * 4

    def test_those_that_were_doubled_already_are_merged(
        self, exemplars: None, catalog: Any
    ) -> None:
        rename(catalog["maling"], "malearbeid")
        for text in EXEMPLARS["maling"]:
            add(text, catalog["maling"], "malearbeid")
        first = list(Exemplar.objects.filter(category_key="maling").values_list("pk", flat=True))
        assert follow_keys() == Followed(renamed=4, merged=4)
        left = Exemplar.objects.filter(category=catalog["maling"])
        assert set(left.values_list("pk", flat=True)) == set(first)  # matches refer to them

    def test_one_that_a_person_quarantined_stays_so(self, exemplars: None, catalog: Any) -> None:
        rename(catalog["maling"], "malearbeid")
        add("Male stue", catalog["maling"], "malearbeid", state=ExemplarState.QUARANTINED)
        follow_keys()
        row = Exemplar.objects.get(text="Male stue", category=catalog["maling"])
        assert row.state == ExemplarState.QUARANTINED

    def test_two_categories_exchange_their_keys(self, exemplars: None, catalog: Any) -> None:
        """With a text that both have."""
        maling, plen = catalog["maling"], catalog["plen"]
        add("Male plenen", maling, "maling")
        add("Male plenen", plen, "plen")
        for category, key in ((maling, "x"), (plen, "maling"), (maling, "plen")):
            rename(category, key)
        assert follow_keys() == Followed(renamed=10)
        assert set(keys(maling)) == {"plen"}
        assert set(keys(plen)) == {"maling"}

    def test_one_of_a_posting_is_no_duplicate_of_an_imported_one(
        self, exemplars: None, catalog: Any, posting: JobPosting
    ) -> None:
        add("Male stue", catalog["maling"], "maling", posting=posting)
        rename(catalog["maling"], "malearbeid")
        assert follow_keys() == Followed(renamed=5)

    def test_a_description_is_renamed_and_never_merged(self, exemplars: None, catalog: Any) -> None:
        add("Male stue", catalog["maling"], "maling", source=ExemplarSource.DESCRIPTION)
        rename(catalog["maling"], "malearbeid")
        assert follow_keys() == Followed(renamed=5)

    def test_a_key_that_two_categories_share_is_followed_by_nothing(
        self, exemplars: None, catalog: Any, monkeypatch: Any
    ) -> None:
        monkeypatch.setattr(JobAdapter, "category_key", lambda self, category: category.name[:1])
        Category.objects.update(name="Alle")
        catalog["maling"].delete()
        assert follow_keys() == Followed()

    def test_an_import_counts_what_belongs_to_nobody(
        self, exemplars: None, catalog: Any, csv: Any, monkeypatch: Any
    ) -> None:
        """Its category was deleted, and two have its key now: it is there, and does not vote."""
        catalog["maling"].delete()
        Category.objects.bulk_create([Category(slug=s, name=s) for s in ("maling", "maler")])
        key = JobAdapter.category_key
        monkeypatch.setattr(
            JobAdapter, "category_key",
            lambda self, category: key(self, category).replace("maler", "maling"),
        )  # fmt: skip
        told = call("import_exemplars", csv())
        assert told.startswith("0 exemplars added, 12 were there already")
        assert "4 were there already and do not vote" in told


class TestDeletedAndBack:
    def test_the_catalog_brings_the_exemplars_back(
        self, exemplars: None, catalog: Any, table: Any, csv: Any
    ) -> None:
        catalog["maling"].delete()
        states = Exemplar.objects.filter(category_key="maling").values_list("state", flat=True)
        assert set(states) == {ExemplarState.ORPHANED}
        told = call("import_catalog", table("slug,parent,name_nb\nmaling,bygg,Maling\n"))
        assert told == "1 categories loaded.\n4 exemplars vote again.\n"
        again = Category.objects.get(slug="maling")
        rows = Exemplar.objects.filter(category=again, state=ExemplarState.ACTIVE)
        assert rows.count() == 4
        assert call("import_exemplars", csv()).startswith("0 exemplars added, 16 were there")

    def test_doctor_counts_those_without_a_category(self, exemplars: None, catalog: Any) -> None:
        [before] = doctor_exemplars()
        catalog["maling"].delete()
        [finding] = doctor_exemplars()
        assert before.message == "16 vote"
        assert finding.message == ("12 vote; without a vote, because their category was deleted: 4")
        assert "when a category has their key" in finding.cure

    def test_an_import_says_what_votes_again_and_what_does_not(
        self, exemplars: None, catalog: Any, csv: Any
    ) -> None:
        Exemplar.objects.filter(text__in=["Male stue", "Bytte kran"]).update(state="quarantined")
        catalog["maling"].delete()
        Category.objects.bulk_create([Category(slug="maling", name="Maling")])
        expected = (
            "11 were there already, 0 categories created.\n"
            "3 {}: their category exists again.\n"
            "2 were there already and do not vote: quarantined, or of a deleted category whose key "
            "several have now. See Exemplars in the admin.\n"
        )
        told = call("import_exemplars", csv(), dry_run=True)
        assert told.startswith(f"0 exemplars would be added, {expected.format('would vote again')}")
        assert not Exemplar.objects.filter(category__slug="maling").exists()
        assert call("import_exemplars", csv()) == (
            f"0 exemplars added, {expected.format('vote again')}"
        )
        row = Exemplar.objects.get(text="Male stue")
        assert (row.category.slug, row.state) == ("maling", ExemplarState.QUARANTINED)

    def test_a_category_that_the_import_creates(
        self, exemplars: None, catalog: Any, csv: Any
    ) -> None:
        catalog["maling"].delete()
        told = call("import_exemplars", csv(), create_categories=True)
        assert "12 were there already, 1 categories created.\n4 vote again" in told

    def test_a_form_brings_them_back(
        self, exemplars: None, catalog: Any, django_capture_on_commit_callbacks: Any
    ) -> None:
        catalog["maling"].delete()
        with django_capture_on_commit_callbacks(execute=True):
            again = Category.objects.create(slug="maling", name="Maling")
        assert keys(again) == ["maling"] * 4

    def test_a_form_renames_them(
        self, exemplars: None, catalog: Any, django_capture_on_commit_callbacks: Any
    ) -> None:
        catalog["maling"].slug = "malearbeid"
        with django_capture_on_commit_callbacks(execute=True):
            catalog["maling"].save()
        assert keys(catalog["maling"]) == ["malearbeid"] * 4

    @pytest.mark.slow
    def test_a_worker_notices_what_sql_did(self, fitted: None, catalog: Any) -> None:
        models = ModelLoader()
        before = set(models.refresh().fitted.index.ids)  # type: ignore[union-attr]
        catalog["maling"].delete()
        silent = set(models.refresh().fitted.index.ids)  # type: ignore[union-attr]
        Category.objects.bulk_create([Category(slug="maling", name="Maling")])
        models._next_look = 0.0
        assert models.current() is None
        labeled = Exemplar.objects.filter(category_key="maling").exclude(source="description")
        after = set(models.refresh().fitted.index.ids)  # type: ignore[union-attr]
        assert len(before) > len(silent)
        assert set(labeled.values_list("pk", flat=True)) <= after

    def test_another_category_that_takes_the_key_takes_them(
        self, exemplars: None, catalog: Any
    ) -> None:
        add("Male stue", catalog["plen"], "plen")
        catalog["maling"].delete()
        rename(catalog["plen"], "maling")
        followed = follow_keys()
        assert (followed.renamed, followed.merged, len(followed.restored)) == (5, 1, 3)
        assert keys(catalog["plen"]) == ["maling"] * 8

    def test_an_exemplar_that_fits_no_category_belongs_to_none(self, exemplars: None) -> None:
        Category.objects.create(slug="hage2", name="Hage")
        none = Exemplar.objects.filter(is_none=True)
        follow_keys()
        assert set(none.values_list("category", "state")) == {(None, "active")}

    @pytest.mark.slow
    def test_its_stop_comes_back_too(self, fitted: None, catalog: Any) -> None:
        from marketplace_ai.audit import stops
        from marketplace_ai.doctor.classifier import active_version

        version = active_version()
        assert version is not None
        stops.stop(version, AutomationStop.Rule.LEAF, catalog["maling"].pk, key="maling")
        catalog["maling"].delete()
        assert not stops.load_stops(version.pk).labels
        Category.objects.create(slug="maling", name="Maling", pk=9999)
        follow_keys()
        assert stops.load_stops(version.pk).labels == {"9999"}

    @pytest.mark.slow
    def test_a_stop_takes_the_new_key_of_its_category(self, fitted: None, catalog: Any) -> None:
        """A category that is deleted later takes it along; another with the old key has none."""
        from marketplace_ai.audit import stops
        from marketplace_ai.doctor.classifier import active_version

        version = active_version()
        assert version is not None
        stops.stop(version, AutomationStop.Rule.LEAF, catalog["maling"].pk, key="maling")
        rename(catalog["maling"], "malearbeid")
        follow_keys()
        catalog["maling"].delete()
        Category.objects.create(slug="maling", name="Other", pk=9998)
        Category.objects.create(slug="malearbeid", name="Maling", pk=9999)
        follow_keys()
        assert stops.load_stops(version.pk).labels == {"9999"}

    @pytest.mark.slow
    def test_stops_of_categories_that_exchange_their_keys(self, fitted: None, catalog: Any) -> None:
        from marketplace_ai.audit import stops
        from marketplace_ai.doctor.classifier import active_version

        version = active_version()
        assert version is not None
        for key in ("maling", "plen"):
            stops.stop(version, AutomationStop.Rule.LEAF, catalog[key].pk, key=key)
        for key, new in (("maling", "tmp"), ("plen", "maling"), ("maling", "plen")):
            rename(catalog[key], new)
        follow_keys()
        keys = dict(AutomationStop.objects.values_list("category_id", "category_key"))
        assert keys == {catalog["maling"].pk: "plen", catalog["plen"].pk: "maling"}


class TestBesideOthers:
    @pytest.mark.django_db(transaction=True)
    def test_a_worker_waits_for_nobody(self, exemplars: None, catalog: Any) -> None:
        rename(catalog["maling"], "malearbeid")
        held, done = threading.Event(), threading.Event()

        def hold() -> None:
            try:
                with transaction.atomic(), connection.cursor() as cursor:
                    advisory_locks.lock(cursor, advisory_locks.TAXONOMY)
                    held.set()
                    assert done.wait(60)
            finally:
                connections.close_all()

        thread = threading.Thread(target=hold)
        thread.start()
        assert held.wait(60)
        follow_safely()
        assert set(keys(catalog["maling"])) == {"maling"}
        done.set()
        thread.join()
        follow_safely()
        assert set(keys(catalog["maling"])) == {"malearbeid"}

    @pytest.mark.django_db(transaction=True)
    def test_an_answer_meanwhile_ends_in_no_deadlock(
        self, exemplars: None, catalog: Any, posting: JobPosting
    ) -> None:
        """It deletes the posting's earlier exemplar, then counts that; both wait for each other."""
        add("Male stue og gang", catalog["maling"], "maling", posting=posting)
        rename(catalog["maling"], "malearbeid")
        deleted, done = threading.Event(), threading.Event()
        errors: list[Exception] = []

        def give_answer() -> None:
            try:
                with transaction.atomic(), connection.cursor() as cursor:
                    # The row as a DELETE locks it, before its trigger counts.
                    cursor.execute(
                        "SELECT FROM marketplace_ai_exemplar WHERE posting_id = %s FOR UPDATE",
                        [posting.pk],
                    )
                    deleted.set()
                    until(WAITING, 1)
                    answer(posting.pk, catalog["plen"].pk, None)
            except Exception as error:  # noqa: BLE001 (told below)
                errors.append(error)
            finally:
                done.set()
                connections.close_all()

        thread = threading.Thread(target=give_answer)
        thread.start()
        assert deleted.wait(60)
        follow_keys()
        assert done.wait(60)
        thread.join()
        assert errors == []
        assert set(keys(catalog["maling"])) == {"malearbeid"}

    def test_a_worker_follows_a_few_categories_at_a_time(
        self, exemplars: None, catalog: Any, monkeypatch: Any
    ) -> None:
        """But two that exchange their keys together."""
        monkeypatch.setattr(following, "CATEGORIES_AT_ONCE", 1)
        maling, plen, rorlegger = (catalog[key] for key in ("maling", "plen", "rorlegger"))
        add("Male plenen", maling, "maling")
        add("Male plenen", plen, "plen")
        renames = ((maling, "x"), (plen, "maling"), (maling, "plen"), (rorlegger, "vann"))
        for category, key in renames:
            rename(category, key)
        assert follow_safely()
        assert set(keys(rorlegger)) == {"rorlegger"} or set(keys(plen)) == {"plen"}
        assert set(keys(maling) + keys(plen)) == {"maling", "plen"}
        assert not follow_safely()
        expected = ({"plen"}, {"maling"}, {"vann"})
        assert tuple(set(keys(c)) for c in (maling, plen, rorlegger)) == expected
        assert not follow_safely()

    def test_an_adapter_that_fails_stops_no_worker(
        self, exemplars: None, monkeypatch: Any, caplog: Any
    ) -> None:
        def fail(self: Any, category: Any) -> str:
            raise ValueError("no key")

        monkeypatch.setattr(JobAdapter, "category_key", fail)
        follow_safely()
        assert "Exemplars keep the keys they have: the adapter fails" in caplog.text

    def test_a_fixture_and_other_models_are_left_alone(
        self, catalog: Any, monkeypatch: Any
    ) -> None:
        called: list[Any] = []
        monkeypatch.setattr(following.transaction, "on_commit", lambda *a, **k: called.append(a))
        following.after_save(JobPosting, JobPosting(), "default", raw=False)
        following.after_save(Category, catalog["plen"], "default", raw=True)
        following.after_save(Category, catalog["plen"], "other", raw=False)
        assert called == []
