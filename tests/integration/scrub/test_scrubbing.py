"""Personal data stays in the project's row and gets into no exemplar, vector or fit."""

from __future__ import annotations

import csv
import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command

from marketplace_ai.adapter import JobAdapter, get_adapter
from marketplace_ai.doctor.diagnose import examine
from marketplace_ai.encoding import dummy
from marketplace_ai.fitting.labeled_postings import read_file
from marketplace_ai.imports.exemplars import exemplars_from_postings, import_exemplars
from marketplace_ai.models import (
    Category,
    Decision,
    Exemplar,
    ExemplarEmbedding,
    ExemplarSource,
    ExemplarState,
    JobPosting,
    PostingEmbedding,
    QueuedPosting,
)
from marketplace_ai.queue import intake
from marketplace_ai.review.answers import answer
from marketplace_ai.scrub import MARK
from marketplace_ai.serving.active_model import ModelLoader
from marketplace_ai.text.normalize import digest
from tests.integration.worker_runs import drain, fit

pytestmark = pytest.mark.django_db

DEMO = Path(__file__).resolve().parents[3] / "demo/data"
PLANTED = Path(__file__).resolve().parents[3] / "bench/planted_nb.csv"
RAW = "Male stue\nRing 900 00 014, Storgata 12, ola@firma.no, dørkode 1234"
CLEAN = f"Male stue\nRing {MARK}, {MARK}, {MARK}, dørkode {MARK}"


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A list of every text encoded from now on."""
    seen: list[str] = []
    plain = dummy.DummyEncoder.encode

    def encode(self: Any, texts: Any, *args: Any, **options: Any) -> Any:
        seen.extend(texts)
        return plain(self, texts, *args, **options)

    monkeypatch.setattr(dummy.DummyEncoder, "encode", encode)
    return seen


def job(text: str = RAW, **fields: Any) -> JobPosting:
    title, _, description = text.partition("\n")
    return JobPosting.objects.create(title=title, description=description, **fields)


def personal_data() -> Any:
    return next(finding for finding in examine() if finding.name == "personal data")


@pytest.mark.slow
def test_nothing_planted_in_the_demos_postings_is_encoded_or_kept(
    exemplars: None, encoded: list[str], catalog: dict[str, Category]
) -> None:
    fit()
    with (DEMO / "postings_nb.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["title"]: row["description"] for row in csv.DictReader(file)}
    with PLANTED.open(encoding="utf-8", newline="") as file:
        planted = list(csv.DictReader(file))
    jobs = {title: job(f"{title}\n{rows[title]}") for title in {row["title"] for row in planted}}
    assert len(jobs) == 16
    encoded.clear()
    drain()
    for posting in jobs.values():
        answer(posting.pk, catalog["maling"].pk, None)
    ModelLoader().refresh()
    kept = "\n".join([*encoded, *Exemplar.objects.values_list("text", flat=True)])
    assert sum(title in kept for title in jobs) == 16
    for row in planted:
        assert row["item"] not in kept, row
        posting = jobs[row["title"]]
        posting.refresh_from_db()
        assert posting.description == rows[row["title"]]


@pytest.mark.slow
def test_a_posting_is_encoded_without_it_and_keeps_it(exemplars: None, encoded: list[str]) -> None:
    fit()
    posting = job()
    drain()
    assert CLEAN in encoded
    assert not any("900 00 014" in text for text in encoded)
    assert bytes(PostingEmbedding.objects.get(posting=posting).text_digest) == digest(CLEAN)
    assert bytes(Decision.objects.get(posting=posting).text_digest) == digest(CLEAN)
    posting.refresh_from_db()
    assert f"{posting.title}\n{posting.description}" == RAW


@pytest.mark.slow
def test_an_answer_adds_the_scrubbed_text_with_its_vector(
    exemplars: None, catalog: dict[str, Category], encoded: list[str]
) -> None:
    fit()
    posting = job()
    drain()
    encoded.clear()
    answer(posting.pk, catalog["maling"].pk, None)
    exemplar = Exemplar.objects.get(posting=posting)
    assert (exemplar.text, bytes(exemplar.text_digest)) == (CLEAN, digest(CLEAN))
    assert ExemplarEmbedding.objects.filter(exemplar=exemplar).count() == 1
    assert not encoded


def test_imported_exemplars_are_scrubbed(catalog: dict[str, Category], tmp_path: Path) -> None:
    file = tmp_path / "exemplars.csv"
    file.write_text(f'text,category\n"{RAW}",maling\n', encoding="utf-8")
    import_exemplars(str(file))
    assert Exemplar.objects.get().text == CLEAN
    assert import_exemplars(str(file)).existing == 1


def test_exemplars_from_postings_are_scrubbed(catalog: dict[str, Category]) -> None:
    posting = job(category=catalog["maling"], category_set_by="person")
    exemplars_from_postings(per_category=10)
    assert Exemplar.objects.get(posting=posting).text == CLEAN


def test_labeled_postings_are_scrubbed(catalog: dict[str, Category], tmp_path: Path) -> None:
    title, _, description = RAW.partition("\n")
    file = tmp_path / "labeled.csv"
    file.write_text(
        f'title,description,category\n"{title}","{description}",maling\n', encoding="utf-8"
    )
    assert [text for text, _ in read_file(str(file)).rows] == [CLEAN]


@pytest.mark.slow
def test_admin_shows_the_posting_as_it_is_and_the_exemplar_scrubbed(
    exemplars: None, catalog: dict[str, Category], client: Any
) -> None:
    fit()
    posting = job()
    drain()
    client.force_login(get_user_model().objects.create_superuser("root"))
    page = client.get(f"/admin/marketplace_ai/jobposting/{posting.pk}/change/").content.decode()
    assert page.count("900 00 014") >= 2  # in the panel and in the form
    # The text that was decided is the one that is there.
    assert "The text has changed since" not in page
    answer(posting.pk, catalog["maling"].pk, None)
    exemplar = Exemplar.objects.get(posting=posting)
    page = client.get(f"/admin/marketplace_ai/exemplar/{exemplar.pk}/change/").content.decode()
    assert "900 00 014" not in page
    assert "Male stue" in page


def test_an_exemplar_typed_in_admin_is_scrubbed(catalog: dict[str, Category], client: Any) -> None:
    client.force_login(get_user_model().objects.create_superuser("root"))
    client.post(
        "/admin/marketplace_ai/exemplar/add/",
        {"text": RAW, "category": catalog["maling"].pk, "state": "active"},
    )
    assert Exemplar.objects.get().text == CLEAN


def test_a_number_on_the_edge_of_what_is_kept_goes_as_a_whole() -> None:
    adapter = get_adapter()
    for length in range(adapter.max_chars - 12, adapter.max_chars + 1):
        text = "mur " * (length // 4) + "." * (length % 4)
        assert "900" not in adapter.prepared(f"{text} 900 00 014 takk")


class Extended(JobAdapter):
    def clean(self, text: str) -> str:
        return text.replace("Kari", "N")


class Off(JobAdapter):
    def scrub(self, text: str) -> str:
        return text


def test_an_adapter_adds_to_it_or_turns_it_off(settings: Any) -> None:
    text = "Kari, 900 00 014"
    for adapter, prepared in ((Extended, f"N, {MARK}"), (Off, text), (JobAdapter, f"Kari, {MARK}")):
        settings.MARKETPLACE_AI_ADAPTER = f"{__name__}.{adapter.__name__}"
        assert get_adapter().prepared(text) == prepared


@pytest.mark.slow
class TestUpgrade:
    """An exemplar stored before scrubbing existed."""

    @pytest.fixture
    def old(self, exemplars: None, settings: Any) -> Exemplar:
        fit()
        settings.MARKETPLACE_AI_ADAPTER = f"{__name__}.Off"
        category = Category.objects.get(slug="maling")
        made = Exemplar.objects.create(
            text=RAW, text_digest=digest(RAW), category=category, category_key="maling",
            source=ExemplarSource.IMPORTED,
        )  # fmt: skip
        Exemplar.objects.filter(pk=made.pk).update(created_at="2026-01-01T00:00Z")
        ModelLoader().refresh()
        job()
        job("Klippe gress\nhver uke")
        drain()
        del settings.MARKETPLACE_AI_ADAPTER
        return made

    def run(self, **options: Any) -> dict[str, Any]:
        out = StringIO()
        call_command("scrub_stored", json=True, stdout=out, **options)
        return json.loads(out.getvalue())  # type: ignore[no-any-return]

    @pytest.mark.slow
    def test_doctor_counts_it_and_names_the_cure(self, old: Exemplar) -> None:
        finding = personal_data()
        assert not finding.ok
        assert finding.message.startswith("1 of the 17 newest exemplars")
        assert "scrub_stored" in finding.cure
        self.run()
        assert personal_data().ok

    @pytest.mark.slow
    def test_a_dry_run_changes_nothing(self, old: Exemplar) -> None:
        found = self.run(dry_run=True)
        assert (found["exemplars"]["found"], found["postings"]) == (1, 1)
        assert Exemplar.objects.get(pk=old.pk).text == RAW
        intake.collect()
        assert not QueuedPosting.objects.exists()

    def test_it_is_replaced_and_votes_with_a_new_vector(
        self, old: Exemplar, encoded: list[str]
    ) -> None:
        resident = ModelLoader()
        resident.refresh()
        found = self.run()
        assert found["exemplars"] == {
            "looked_at": 17, "found": 1, "merged": 0, "quarantined": 0,
        }  # fmt: skip
        assert not Exemplar.objects.filter(pk=old.pk).exists()
        new = Exemplar.objects.get(text=CLEAN)
        assert bytes(new.text_digest) == digest(CLEAN)
        assert (new.category_key, new.source, new.state) == ("maling", "imported", "active")
        assert new.created_at.year == 2026 and new.created_at.month == 1
        encoded.clear()
        resident.refresh()
        assert encoded == [CLEAN]
        assert resident.active.fitted.index is not None
        assert new.pk in resident.active.fitted.index.ids.tolist()
        assert old.pk not in resident.active.fitted.index.ids.tolist()
        assert self.run()["exemplars"]["found"] == 0

    def test_postings_whose_prepared_text_changed_are_encoded_again(
        self, old: Exemplar, encoded: list[str]
    ) -> None:
        assert self.run()["postings"] == 1
        encoded.clear()
        drain()
        assert CLEAN in encoded
        changed = JobPosting.objects.get(title="Male stue")
        assert bytes(PostingEmbedding.objects.get(posting=changed).text_digest) == digest(CLEAN)
        assert changed.description == RAW.partition("\n")[2]
        assert self.run()["postings"] == 0

    def test_exemplars_equal_after_scrubbing_are_merged(self, old: Exemplar) -> None:
        Exemplar.objects.create(
            text=CLEAN, text_digest=digest(CLEAN), category=old.category, category_key="maling",
            source=ExemplarSource.IMPORTED,
        )  # fmt: skip
        assert self.run()["exemplars"]["merged"] == 1
        assert Exemplar.objects.filter(text=CLEAN).count() == 1

    def test_an_exemplar_blank_after_scrubbing_is_quarantined(self, old: Exemplar) -> None:
        Exemplar.objects.create(
            text="900 00 014", text_digest=digest("900 00 014"), category=old.category,
            category_key="maling", source=ExemplarSource.IMPORTED,
        )  # fmt: skip
        assert self.run()["exemplars"]["quarantined"] == 1
        assert Exemplar.objects.get(text=MARK).state == ExemplarState.QUARANTINED

    def test_output_for_people(self, old: Exemplar) -> None:
        out = StringIO()
        call_command("scrub_stored", stdout=out, stderr=StringIO())
        assert "1 of 17 exemplars scrubbed" in out.getvalue()
        assert "fit_classifier" in out.getvalue()
