"""A posting from its creation to its decision, with the active encoder and classifier."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command
from django.db import connection

from marketplace_ai.models import (
    Category,
    ClassifierVersion,
    Decision,
    Exemplar,
    JobPosting,
    Outcome,
    PostingChange,
    PostingEmbedding,
    QueuedPosting,
)
from marketplace_ai.queue import trigger
from marketplace_ai.serving.active_model import ModelLoader
from tests.integration.worker_runs import automatic, current, drain, fit

pytestmark = pytest.mark.django_db


def test_each_way_of_creating_leads_to_a_decision(fitted: None) -> None:
    JobPosting.objects.create(title="Male stue")
    JobPosting.objects.bulk_create(
        [JobPosting(title="Klippe gress"), JobPosting(title="Bytte kran")]
    )
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO marketplace_ai_jobposting (title) VALUES ('Lekkasje')")
        with cursor.copy("COPY marketplace_ai_jobposting (title) FROM STDIN") as copy:
            copy.write("Male tak\n")
    drain()
    assert Decision.objects.filter(is_current=True).count() == 5
    assert PostingEmbedding.objects.count() == 5
    assert QueuedPosting.objects.count() == 0
    proposed = dict(Decision.objects.values_list("posting__title", "category_key"))
    assert proposed["Klippe gress"] == "plen"
    assert proposed["Male tak"] == "maling"


def test_matches_are_stored_with_the_decision(fitted: None) -> None:
    job = JobPosting.objects.create(title="Male stue")
    drain()
    matches = current(job).matches
    texts = Exemplar.objects.in_bulk([match.exemplar_id for match in matches])
    # With four exemplars the category's description has half the vote, so it may come first.
    nearest = max(matches, key=lambda match: match.similarity)
    assert texts[nearest.exemplar_id].text == "Male stue"
    assert nearest.similarity == pytest.approx(1, abs=0.01)
    assert [m.share for m in matches] == sorted((m.share for m in matches), reverse=True)


@pytest.mark.slow
def test_without_a_classifier_postings_go_to_review_and_fitting_decides_them_again(
    exemplars: None, posting: JobPosting
) -> None:
    drain()
    assert current(posting).outcome == Outcome.REVIEW
    assert current(posting).probability is None
    fit()
    drain()
    assert current(posting).category_key == "maling"
    assert Decision.objects.filter(posting=posting).count() == 2


def test_an_edit_that_was_read_before_its_log_entry_is_decided_once(
    fitted: None, posting: JobPosting
) -> None:
    """It was committed after the log was collected and before the text was read."""
    drain()
    decided = current(posting).decided_at
    for seconds, decisions in ((-1, 1), (1, 2)):
        PostingChange.objects.create(
            posting_id=posting.pk, kind="edited", logged_at=decided + timedelta(seconds=seconds)
        )
        drain()
        assert Decision.objects.filter(posting=posting).count() == decisions
        assert not QueuedPosting.objects.exists()
        assert not PostingChange.objects.exists()


def test_editing_the_text_leads_to_a_new_decision(fitted: None, posting: JobPosting) -> None:
    drain()
    posting.title, posting.description = "Klippe gress hver uke", ""
    posting.save()
    drain()
    assert current(posting).category_key == "plen"
    assert list(
        Decision.objects.filter(posting=posting, is_current=False).values_list("category_key")
    ) == [("maling",)]


def test_editing_anything_else_leads_to_none(
    fitted: None, posting: JobPosting, catalog: dict[str, Category]
) -> None:
    drain()
    posting.category = catalog["plen"]
    posting.save()
    drain()
    assert Decision.objects.filter(posting=posting).count() == 1


def test_an_automatic_category_is_written(
    fitted: None, posting: JobPosting, catalog: dict[str, Category], monkeypatch: Any
) -> None:
    automatic(monkeypatch, catalog["maling"], Outcome.AUTOMATIC)
    drain()
    posting.refresh_from_db()
    assert posting.category == catalog["maling"]
    assert posting.category_set_by == "machine"


def test_an_automatic_category_that_no_longer_holds_is_cleared(
    fitted: None, posting: JobPosting, catalog: dict[str, Category], monkeypatch: Any
) -> None:
    automatic(monkeypatch, catalog["maling"], Outcome.AUTOMATIC)
    drain()
    JobPosting.objects.update(title="Noe helt annet")
    automatic(monkeypatch, catalog["plen"], Outcome.REVIEW)
    drain()
    posting.refresh_from_db()
    assert posting.category is None
    assert posting.category_set_by == ""


@pytest.mark.parametrize("outcome", [Outcome.AUTOMATIC, Outcome.NONE, Outcome.REVIEW])
def test_a_persons_category_is_never_overwritten(
    fitted: None, catalog: dict[str, Category], monkeypatch: Any, outcome: Outcome
) -> None:
    job = JobPosting.objects.create(title="Male stue", category=catalog["plen"])
    automatic(monkeypatch, None if outcome == Outcome.NONE else catalog["maling"], outcome)
    drain()
    job.refresh_from_db()
    assert job.category == catalog["plen"]
    assert current(job).outcome == Outcome.HUMAN_OVERRIDE


def test_a_persons_change_of_an_automatic_category_stands(
    fitted: None, posting: JobPosting, catalog: dict[str, Category], monkeypatch: Any
) -> None:
    automatic(monkeypatch, catalog["maling"], Outcome.AUTOMATIC)
    drain()
    JobPosting.objects.update(category=catalog["plen"], title="Ny tekst")
    drain()
    posting.refresh_from_db()
    assert posting.category == catalog["plen"]
    assert current(posting).outcome == Outcome.HUMAN_OVERRIDE


def test_a_category_that_a_person_cleared_is_only_proposed(
    fitted: None, posting: JobPosting, catalog: dict[str, Category], monkeypatch: Any
) -> None:
    automatic(monkeypatch, catalog["maling"], Outcome.AUTOMATIC)
    drain()
    JobPosting.objects.update(category=None, title="Ny tekst")
    drain()
    posting.refresh_from_db()
    assert posting.category is None
    assert current(posting).outcome == Outcome.REVIEW


def test_a_text_changed_while_it_was_encoded_is_encoded_again(
    fitted: None, posting: JobPosting
) -> None:
    models, encodes = ModelLoader(), []
    models.refresh()
    encode = models.active.text_encoder.encode

    def edit_meanwhile(texts: Any) -> Any:
        encodes.append(list(texts))
        if len(encodes) == 1:
            JobPosting.objects.update(title="Klippe gress", description="")
        return encode(texts)

    models.active.text_encoder.encode = edit_meanwhile
    drain(models)
    assert encodes == [["Male stue og gang\nCirka 40 kvm"], ["Klippe gress"]]
    assert Decision.objects.filter(posting=posting).count() == 1
    assert current(posting).category_key == "plen"


def test_deleting_while_encoding_does_no_harm(fitted: None, posting: JobPosting) -> None:
    other = JobPosting.objects.create(title="Bytte kran")
    models = ModelLoader()
    models.refresh()
    encode = models.active.text_encoder.encode

    def delete_meanwhile(texts: Any) -> Any:
        JobPosting.objects.filter(pk=posting.pk).delete()
        return encode(texts)

    models.active.text_encoder.encode = delete_meanwhile
    drain(models)
    assert list(Decision.objects.values_list("posting_id", flat=True)) == [other.pk]
    assert list(PostingEmbedding.objects.values_list("posting_id", flat=True)) == [other.pk]


def test_a_category_deleted_while_encoding_falls_to_review(
    fitted: None, posting: JobPosting, catalog: dict[str, Category], monkeypatch: Any
) -> None:
    automatic(monkeypatch, catalog["maling"], Outcome.AUTOMATIC)
    catalog["maling"].__class__.objects.filter(slug="maling").delete()
    drain()
    assert current(posting).outcome == Outcome.REVIEW
    assert current(posting).category is None


@pytest.mark.parametrize("title", ["", "   ", "!!! ???", "\u200b"])
def test_a_blank_posting_fits_nothing(fitted: None, title: str) -> None:
    job = JobPosting.objects.create(title=title)
    drain()
    assert current(job).outcome == Outcome.NONE
    assert not PostingEmbedding.objects.filter(posting=job).exists()


@pytest.mark.parametrize("text", ["a" * 1_000_000, "</s> query: <mask>", "é" * 50_000, "مرحبا بكم"])
def test_a_strange_text_is_decided(fitted: None, text: str) -> None:
    job = JobPosting.objects.create(title="Male stue", description=text)
    drain()
    assert current(job).outcome in Outcome


def test_equal_texts_are_encoded_once_and_decided_each(fitted: None) -> None:
    JobPosting.objects.bulk_create([JobPosting(title="Male stue") for _ in range(5)])
    models, seen = ModelLoader(), []
    models.refresh()
    encode = models.active.text_encoder.encode
    models.active.text_encoder.encode = lambda texts: seen.extend(texts) or encode(texts)
    drain(models)
    assert seen == ["Male stue"]
    assert Decision.objects.count() == PostingEmbedding.objects.count() == 5


def test_stored_vectors_are_unit_vectors(fitted: None, posting: JobPosting) -> None:
    drain()
    vector = np.array(PostingEmbedding.objects.get().vector)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-3)


def test_a_new_exemplar_votes_in_the_next_batch(fitted: None, catalog: dict[str, Category]) -> None:
    from marketplace_ai.review.answers import answer

    models = ModelLoader()
    first = JobPosting.objects.create(title="Fjerne vepsebol")
    drain(models)
    answer(first.pk, catalog["hage"].pk, None)
    second = JobPosting.objects.create(title="Fjerne vepsebol")
    drain(models)
    matches = current(second).matches
    assert matches[0].exemplar_id == Exemplar.objects.get(posting=first).pk


def test_quarantined_and_deleted_exemplars_do_not_vote(
    fitted: None, catalog: dict[str, Category]
) -> None:
    models = ModelLoader()
    models.refresh()
    assert models.active.fitted.index is not None
    before = len(models.active.fitted.index)
    gone = Exemplar.objects.filter(category__slug="rorlegger").count()  # with its description
    Exemplar.objects.get(text="Male stue").delete()
    Exemplar.objects.filter(text="Så ny plen").update(state="quarantined")
    Category.objects.filter(slug="rorlegger").delete()
    models.refresh()
    assert len(models.active.fitted.index) == before - 1 - 1 - gone
    assert set(
        Exemplar.objects.filter(category_key="rorlegger").values_list("state", flat=True)
    ) == {"orphaned"}


def test_a_bulk_update_renews_vectors_and_keeps_decisions(fitted: None, settings: Any) -> None:
    JobPosting.objects.bulk_create([JobPosting(title=f"Male rom {n}") for n in range(3)])
    drain()
    before = list(
        PostingEmbedding.objects.order_by("posting").values_list("text_digest", flat=True)
    )
    settings.MARKETPLACE_AI_BULK_UPDATE_THRESHOLD = 2
    trigger.install()
    JobPosting.objects.update(description="Ny standardtekst")
    drain()
    after = list(PostingEmbedding.objects.order_by("posting").values_list("text_digest", flat=True))
    assert all(bytes(a) != bytes(b) for a, b in zip(before, after, strict=True))
    assert Decision.objects.count() == 3


def test_undecided_postings_in_a_bulk_update_are_still_decided(fitted: None, settings: Any) -> None:
    settings.MARKETPLACE_AI_BULK_UPDATE_THRESHOLD = 2
    trigger.install()
    JobPosting.objects.bulk_create([JobPosting(title=f"Male rom {n}") for n in range(3)])
    JobPosting.objects.update(description="Ny standardtekst")
    drain()
    assert Decision.objects.count() == 3


def test_a_deleted_category_counts_as_set_by_nobody(
    fitted: None, posting: JobPosting, catalog: dict[str, Category], monkeypatch: Any
) -> None:
    automatic(monkeypatch, catalog["maling"], Outcome.AUTOMATIC)
    drain()
    catalog["maling"].delete()
    JobPosting.objects.update(title="Klippe gress")
    automatic(monkeypatch, catalog["plen"], Outcome.AUTOMATIC)
    drain()
    posting.refresh_from_db()
    assert posting.category == catalog["plen"]


def test_a_posting_withdrawn_while_it_was_encoded_is_not_decided(
    fitted: None, posting: JobPosting, monkeypatch: Any
) -> None:
    from marketplace_ai.adapter import JobAdapter

    answers = iter([True, False])
    monkeypatch.setattr(JobAdapter, "eligible", lambda self, job: next(answers))
    drain()
    assert not Decision.objects.exists()
    assert not QueuedPosting.objects.exists()


def test_a_damaged_classifier_decides_nothing_and_can_be_replaced(
    fitted: None, posting: JobPosting
) -> None:
    ClassifierVersion.objects.update(artifact=b"damaged")
    drain()
    assert (current(posting).outcome, current(posting).classifier) == (Outcome.REVIEW, None)
    fit()
    drain()
    assert current(posting).category_key == "maling"


def test_a_persons_category_that_was_once_automatic_stands(
    fitted: None, posting: JobPosting, catalog: dict[str, Category], monkeypatch: Any
) -> None:
    automatic(monkeypatch, catalog["maling"], Outcome.AUTOMATIC)
    drain()
    JobPosting.objects.update(category=catalog["plen"], title="En annen tekst")
    drain()
    JobPosting.objects.update(category=catalog["maling"], title="En tredje tekst")
    automatic(monkeypatch, catalog["plen"], Outcome.REVIEW)
    drain()
    posting.refresh_from_db()
    assert posting.category == catalog["maling"]


def test_backfill_finds_the_edit_that_a_trigger_could_not_name(
    fitted: None, posting: JobPosting
) -> None:
    drain()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(
            "UPDATE marketplace_ai_jobposting SET title = 'Klippe gress', description = ''"
        )
        cursor.execute("SET LOCAL session_replication_role = origin")
    PostingChange.objects.create(kind="rescan", logged_at="2026-01-01T00:00Z")
    call_command("backfill_embeddings", json=True)
    drain()
    assert current(posting).category_key == "plen"
    assert not PostingChange.objects.exists()
