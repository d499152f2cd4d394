"""Second categories: stored with the decision, and written to the project by its adapter."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import translation

from marketplace_ai.adapter import JobAdapter
from marketplace_ai.models import Category, Decision, JobPosting, Outcome, QueuedPosting
from marketplace_ai.queue.proposal import Proposal
from marketplace_ai.review.answers import answer
from marketplace_ai.serving.active_model import ActiveModel
from tests.integration.admin.factories import decide
from tests.integration.worker_runs import current, drain, fit

pytestmark = pytest.mark.django_db

Calls = list[dict[Any, list[Any]]]


@pytest.fixture
def fitted(exemplars: None) -> None:
    fit()


@pytest.fixture
def applied(monkeypatch: Any) -> Calls:
    """The argument of each call of ``apply_secondary``."""
    calls: Calls = []
    monkeypatch.setattr(
        JobAdapter, "apply_secondary", lambda self, categories: calls.append(dict(categories))
    )
    return calls


def predict(
    monkeypatch: Any, outcome: Outcome, category: Category | None, *secondary: Category
) -> None:
    """Have the classifier propose the same for every posting."""
    proposal = Proposal(
        outcome,
        category.pk if category else None,
        0.99,
        0.9,
        second_categories=tuple(other.pk for other in secondary),
    )
    monkeypatch.setattr(
        ActiveModel, "propose", lambda self, texts, vectors: [proposal] * len(texts)
    )


def test_it_is_stored_with_the_decision_and_applied_once(
    fitted: None,
    posting: JobPosting,
    catalog: dict[str, Category],
    applied: Calls,
    monkeypatch: Any,
) -> None:
    other = JobPosting.objects.create(title="Male tak og klippe gress")
    predict(monkeypatch, Outcome.AUTOMATIC, catalog["maling"], catalog["plen"])
    drain()
    for job in (posting, other):
        assert current(job).second_category_keys == ["plen"]
        job.refresh_from_db()
        assert job.category == catalog["maling"]  # its category is only the first one
    assert applied == [{posting.pk: [catalog["plen"].pk], other.pk: [catalog["plen"].pk]}]


def test_by_default_nothing_is_written(
    fitted: None, posting: JobPosting, catalog: dict[str, Category], monkeypatch: Any
) -> None:
    predict(monkeypatch, Outcome.AUTOMATIC, catalog["maling"], catalog["plen"])
    drain()
    assert current(posting).second_category_keys == ["plen"]


def test_without_a_second_category_nothing_is_applied(
    fitted: None,
    posting: JobPosting,
    catalog: dict[str, Category],
    applied: Calls,
    monkeypatch: Any,
) -> None:
    predict(monkeypatch, Outcome.AUTOMATIC, catalog["maling"])
    drain()
    assert current(posting).second_category_keys == []
    assert applied == []


@pytest.mark.parametrize("outcome", [Outcome.REVIEW, Outcome.AUTOMATIC_PARENT])
def test_without_an_automatic_category_it_is_only_stored(
    fitted: None,
    posting: JobPosting,
    catalog: dict[str, Category],
    applied: Calls,
    monkeypatch: Any,
    outcome: Outcome,
) -> None:
    predict(monkeypatch, outcome, catalog["maling"], catalog["plen"])
    drain()
    assert current(posting).second_category_keys == ["plen"]
    assert applied == []


def test_a_persons_posting_is_never_touched(
    fitted: None,
    posting: JobPosting,
    catalog: dict[str, Category],
    applied: Calls,
    monkeypatch: Any,
) -> None:
    """Set at creation, answered in admin, or cleared: in each case a person decided."""
    JobPosting.objects.filter(pk=posting.pk).update(category=catalog["rorlegger"])
    answered, cleared = (JobPosting.objects.create(title=title) for title in ("Male", "Klippe"))
    predict(monkeypatch, Outcome.AUTOMATIC, catalog["maling"])
    drain()
    answer(answered.pk, catalog["hage"].pk, None)
    JobPosting.objects.filter(pk=cleared.pk).update(category=None)
    JobPosting.objects.update(title="Male stue og klippe gress")
    predict(monkeypatch, Outcome.AUTOMATIC, catalog["maling"], catalog["plen"])
    drain()
    assert applied == []
    assert [current(job).second_category_keys for job in (posting, answered, cleared)] == [
        ["plen"]
    ] * 3
    assert current(posting).outcome == current(answered).outcome == Outcome.HUMAN_OVERRIDE


@pytest.mark.parametrize("chosen", ["hage", None])
def test_what_was_applied_before_a_person_decided_is_not_changed(
    fitted: None,
    posting: JobPosting,
    catalog: dict[str, Category],
    applied: Calls,
    monkeypatch: Any,
    chosen: str | None,
) -> None:
    predict(monkeypatch, Outcome.AUTOMATIC, catalog["maling"], catalog["plen"])
    drain()
    applied.clear()
    JobPosting.objects.update(category=catalog[chosen] if chosen else None, title="Male stue")
    predict(monkeypatch, Outcome.AUTOMATIC, catalog["maling"])
    drain()
    assert Decision.objects.filter(posting=posting).count() == 2
    assert applied == []


@pytest.mark.parametrize("outcome", [Outcome.AUTOMATIC, Outcome.REVIEW, Outcome.NONE])
def test_a_second_category_that_no_longer_holds_is_cleared_once(
    fitted: None,
    posting: JobPosting,
    catalog: dict[str, Category],
    applied: Calls,
    monkeypatch: Any,
    outcome: Outcome,
) -> None:
    predict(monkeypatch, Outcome.AUTOMATIC, catalog["maling"], catalog["plen"])
    drain()
    applied.clear()
    category = None if outcome == Outcome.NONE else catalog["maling"]
    predict(monkeypatch, outcome, category, *([catalog["plen"]] * (outcome == Outcome.REVIEW)))
    for title in ("Male stue", "Male gang"):
        JobPosting.objects.update(title=title)
        drain()
    assert applied == [{posting.pk: []}]


def test_a_category_that_was_deleted_meanwhile_is_left_out(
    fitted: None,
    posting: JobPosting,
    catalog: dict[str, Category],
    applied: Calls,
    monkeypatch: Any,
) -> None:
    predict(monkeypatch, Outcome.AUTOMATIC, catalog["maling"], catalog["plen"])
    Category.objects.filter(slug="plen").delete()
    drain()
    assert current(posting).outcome == Outcome.AUTOMATIC
    assert current(posting).second_category_keys == []
    assert applied == []


def test_if_the_adapter_fails_neither_category_is_written(
    fitted: None,
    posting: JobPosting,
    catalog: dict[str, Category],
    monkeypatch: Any,
    settings: Any,
) -> None:
    def fail(self: JobAdapter, categories: Any) -> None:
        raise RuntimeError("the host says no")

    settings.MARKETPLACE_AI_MAX_ATTEMPTS = 1
    monkeypatch.setattr(JobAdapter, "apply_secondary", fail)
    predict(monkeypatch, Outcome.AUTOMATIC, catalog["maling"], catalog["plen"])
    drain()
    posting.refresh_from_db()
    assert posting.category is None
    assert not Decision.objects.filter(posting=posting).exists()
    assert QueuedPosting.objects.get().last_error == "RuntimeError: the host says no"


def test_it_comes_from_the_prediction(
    fitted: None, posting: JobPosting, catalog: dict[str, Category], monkeypatch: Any
) -> None:
    """From the classifier's labels, which are text, to the keys of categories."""
    from dataclasses import replace

    from marketplace_ai.classifier import Classifier

    original = Classifier.predict
    second = ((str(catalog["plen"].pk), 2.5),)
    monkeypatch.setattr(
        Classifier,
        "predict",
        lambda *args: [
            replace(prediction, second_categories=second) for prediction in original(*args)
        ],
    )
    drain()
    assert current(posting).category_key == "maling"
    assert current(posting).second_category_keys == ["plen"]


# -- in admin --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "expected"),
    [("en", "Second category: {}, gone"), ("nb", "Tilleggskategori: {}, gone")],
)
def test_it_is_shown_with_the_posting_and_with_the_decision(
    admin_client: Client,
    posting: JobPosting,
    catalog: dict[str, Category],
    language: str,
    expected: str,
) -> None:
    decision = decide(posting, catalog["maling"], second_category_keys=["plen", "gone"])
    for page in (
        reverse("admin:marketplace_ai_jobposting_change", args=[posting.pk]),
        reverse("admin:marketplace_ai_decision_change", args=[decision.pk]),
    ):
        html = admin_client.get(page, headers={"accept-language": language}).content.decode()
        with translation.override(language):
            assert expected.format(catalog["plen"]) in html


def test_without_one_nothing_is_shown(
    admin_client: Client, posting: JobPosting, catalog: dict[str, Category]
) -> None:
    decide(posting, catalog["maling"])
    page = reverse("admin:marketplace_ai_jobposting_change", args=[posting.pk])
    assert "Second category:" not in admin_client.get(page).content.decode()


def test_its_name_is_escaped(
    admin_client: Client, posting: JobPosting, catalog: dict[str, Category]
) -> None:
    Category.objects.filter(slug="plen").update(name="<script>alert(1)</script>", name_en="")
    decide(posting, catalog["maling"], second_category_keys=["plen"])
    page = reverse("admin:marketplace_ai_jobposting_change", args=[posting.pk])
    html = admin_client.get(page).content.decode()
    assert "Second category: &lt;script&gt;" in html
    assert "<script>alert" not in html
