"""A second job: kept with the decision, and told to a host that wants it, in the same breath."""

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

Told = list[dict[Any, list[Any]]]


@pytest.fixture
def fitted(exemplars: None) -> None:
    fit()


@pytest.fixture
def told(monkeypatch: Any) -> Told:
    """Each call of the adapter's method."""
    calls: Told = []
    monkeypatch.setattr(
        JobAdapter, "apply_secondary", lambda self, categories: calls.append(dict(categories))
    )
    return calls


def says(
    monkeypatch: Any, outcome: Outcome, category: Category | None, *secondary: Category
) -> None:
    """Have the classifier say one thing of every posting."""
    proposal = Proposal(
        outcome,
        category.pk if category else None,
        0.99,
        0.9,
        secondary=tuple(other.pk for other in secondary),
    )
    monkeypatch.setattr(
        ActiveModel, "propose", lambda self, texts, vectors: [proposal] * len(texts)
    )


def test_the_decision_keeps_it_and_the_host_is_told_once(
    fitted: None, posting: JobPosting, catalog: dict[str, Category], told: Told, monkeypatch: Any
) -> None:
    other = JobPosting.objects.create(title="Male tak og klippe gress")
    says(monkeypatch, Outcome.AUTOMATIC, catalog["maling"], catalog["plen"])
    drain()
    for job in (posting, other):
        assert current(job).second_category_keys == ["plen"]
        job.refresh_from_db()
        assert job.category == catalog["maling"]  # and its category is the first alone
    assert told == [{posting.pk: [catalog["plen"].pk], other.pk: [catalog["plen"].pk]}]


def test_by_default_nothing_is_written(
    fitted: None, posting: JobPosting, catalog: dict[str, Category], monkeypatch: Any
) -> None:
    says(monkeypatch, Outcome.AUTOMATIC, catalog["maling"], catalog["plen"])
    drain()
    assert current(posting).second_category_keys == ["plen"]


def test_one_job_is_nothing_to_tell(
    fitted: None, posting: JobPosting, catalog: dict[str, Category], told: Told, monkeypatch: Any
) -> None:
    says(monkeypatch, Outcome.AUTOMATIC, catalog["maling"])
    drain()
    assert current(posting).second_category_keys == []
    assert told == []


@pytest.mark.parametrize("outcome", [Outcome.REVIEW, Outcome.AUTOMATIC_PARENT])
def test_what_is_not_certain_of_its_first_job_is_recorded_only(
    fitted: None,
    posting: JobPosting,
    catalog: dict[str, Category],
    told: Told,
    monkeypatch: Any,
    outcome: Outcome,
) -> None:
    says(monkeypatch, outcome, catalog["maling"], catalog["plen"])
    drain()
    assert current(posting).second_category_keys == ["plen"]
    assert told == []


def test_a_persons_posting_is_never_touched(
    fitted: None, posting: JobPosting, catalog: dict[str, Category], told: Told, monkeypatch: Any
) -> None:
    """Set at creation, answered in admin, taken away by hand: in each case a person spoke."""
    JobPosting.objects.filter(pk=posting.pk).update(category=catalog["rorlegger"])
    answered, cleared = (JobPosting.objects.create(title=title) for title in ("Male", "Klippe"))
    says(monkeypatch, Outcome.AUTOMATIC, catalog["maling"])
    drain()
    answer(answered.pk, catalog["hage"].pk, None)
    JobPosting.objects.filter(pk=cleared.pk).update(category=None)
    JobPosting.objects.update(title="Male stue og klippe gress")
    says(monkeypatch, Outcome.AUTOMATIC, catalog["maling"], catalog["plen"])
    drain()
    assert told == []
    assert [current(job).second_category_keys for job in (posting, answered, cleared)] == [
        ["plen"]
    ] * 3
    assert current(posting).outcome == current(answered).outcome == Outcome.HUMAN_OVERRIDE


@pytest.mark.parametrize("chosen", ["hage", None])
def test_what_was_told_before_a_person_spoke_is_theirs_now(
    fitted: None,
    posting: JobPosting,
    catalog: dict[str, Category],
    told: Told,
    monkeypatch: Any,
    chosen: str | None,
) -> None:
    says(monkeypatch, Outcome.AUTOMATIC, catalog["maling"], catalog["plen"])
    drain()
    told.clear()
    JobPosting.objects.update(category=catalog[chosen] if chosen else None, title="Male stue")
    says(monkeypatch, Outcome.AUTOMATIC, catalog["maling"])
    drain()
    assert Decision.objects.filter(posting=posting).count() == 2
    assert told == []


@pytest.mark.parametrize("outcome", [Outcome.AUTOMATIC, Outcome.REVIEW, Outcome.NONE])
def test_what_has_no_second_job_any_more_is_told_once(
    fitted: None,
    posting: JobPosting,
    catalog: dict[str, Category],
    told: Told,
    monkeypatch: Any,
    outcome: Outcome,
) -> None:
    says(monkeypatch, Outcome.AUTOMATIC, catalog["maling"], catalog["plen"])
    drain()
    told.clear()
    category = None if outcome == Outcome.NONE else catalog["maling"]
    says(monkeypatch, outcome, category, *([catalog["plen"]] * (outcome == Outcome.REVIEW)))
    for title in ("Male stue", "Male gang"):
        JobPosting.objects.update(title=title)
        drain()
    assert told == [{posting.pk: []}]


def test_a_category_that_was_deleted_meanwhile_is_left_out(
    fitted: None, posting: JobPosting, catalog: dict[str, Category], told: Told, monkeypatch: Any
) -> None:
    says(monkeypatch, Outcome.AUTOMATIC, catalog["maling"], catalog["plen"])
    Category.objects.filter(slug="plen").delete()
    drain()
    assert current(posting).outcome == Outcome.AUTOMATIC
    assert current(posting).second_category_keys == []
    assert told == []


def test_where_the_host_fails_neither_is_written(
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
    says(monkeypatch, Outcome.AUTOMATIC, catalog["maling"], catalog["plen"])
    drain()
    posting.refresh_from_db()
    assert posting.category is None
    assert not Decision.objects.filter(posting=posting).exists()
    assert QueuedPosting.objects.get().last_error == "RuntimeError: the host says no"


def test_verdicts_bring_it_along(
    fitted: None, posting: JobPosting, catalog: dict[str, Category], monkeypatch: Any
) -> None:
    """From the classifier's labels, which are text, to the keys of categories."""
    from dataclasses import replace

    from marketplace_ai.classifier import Classifier

    judged = Classifier.predict
    second = ((str(catalog["plen"].pk), 2.5),)
    monkeypatch.setattr(
        Classifier,
        "predict",
        lambda *given: [replace(verdict, second_categories=second) for verdict in judged(*given)],
    )
    drain()
    assert current(posting).category_key == "maling"
    assert current(posting).second_category_keys == ["plen"]


# -- on the screens --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "expected"), [("en", "Second category: {}, gone"), ("nb", "Tilleggskategori: {}, gone")]
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


def test_where_there_is_none_nothing_is_shown(
    admin_client: Client, posting: JobPosting, catalog: dict[str, Category]
) -> None:
    decide(posting, catalog["maling"])
    page = reverse("admin:marketplace_ai_jobposting_change", args=[posting.pk])
    assert "Second category:" not in admin_client.get(page).content.decode()


def test_what_it_is_called_is_escaped(
    admin_client: Client, posting: JobPosting, catalog: dict[str, Category]
) -> None:
    Category.objects.filter(slug="plen").update(name="<script>alert(1)</script>", name_en="")
    decide(posting, catalog["maling"], second_category_keys=["plen"])
    page = reverse("admin:marketplace_ai_jobposting_change", args=[posting.pk])
    html = admin_client.get(page).content.decode()
    assert "Second category: &lt;script&gt;" in html
    assert "<script>alert" not in html
