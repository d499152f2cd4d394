"""Answers on the screens: recorded once, through the one service, by those who may."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from marketplace_ai.admin import bulk_review
from marketplace_ai.models import (
    Category,
    Decision,
    Exemplar,
    ExemplarSource,
    JobPosting,
    Outcome,
)

from .factories import decide, exemplar, messages_of, pend, staff

pytestmark = pytest.mark.django_db

LIST = "admin:marketplace_ai_jobposting_changelist"
REVIEW = "admin:marketplace_ai_decision_review"
DECISIONS = "admin:marketplace_ai_decision_changelist"


def page(job: JobPosting) -> str:
    return reverse("admin:marketplace_ai_jobposting_change", args=[job.pk])


def answer_url(job: JobPosting) -> str:
    return reverse("admin:marketplace_ai_jobposting_answer", args=[job.pk])


def current(job: JobPosting) -> Decision:
    return Decision.objects.get(posting=job, is_current=True)


def press(client: Client, job: JobPosting, decision: Decision | None, **data: Any) -> Any:
    seen = decision.pk if decision else ""
    return client.post(answer_url(job), {"seen": seen, **data}, follow=True)


def act(client: Client, action: str, jobs: list[JobPosting], shown: list[Decision]) -> Any:
    data = {
        "action": action,
        "_selected_action": [job.pk for job in jobs],
        "mai_shown": [decision.pk for decision in shown],
    }
    return client.post(reverse(LIST), data, follow=True)


@pytest.fixture
def painting(catalog: dict[str, Category]) -> Category:
    return catalog["maling"]


# -- the page of a posting ---------------------------------------------------------------


@pytest.mark.slow
def test_the_page_shows_the_matches_that_voted(
    admin_client: Client, posting: JobPosting, catalog: dict[str, Category]
) -> None:
    matches = (exemplar("Male vegger", catalog["maling"]), exemplar("Selger sykkel", None))
    decide(
        posting, catalog["maling"], probability=0.934, matches=matches,
        choice_keys=["maling", "", "gone"], choice_probabilities=[0.934, 0.04, 0.02],
    )  # fmt: skip
    html = admin_client.get(page(posting)).content.decode()
    for text in (
        "Confirm: Painting", "93.4%", "threshold 95.0%", "Male vegger", "fits none", "0.90",
        "20.0%",
        "Classifier weight", "40.0%", "gone", "needs review", "All other exemplars",
    ):  # fmt: skip
        assert text in html, text
    link = reverse("admin:marketplace_ai_exemplar_change", args=[matches[0].pk])
    assert f'href="{link}"' in html
    assert '<meter class="mai-bar" min="0" max="1" value="0.934">' in html


def test_a_description_among_the_matches_is_called_one(
    admin_client: Client, posting: JobPosting, painting: Category
) -> None:
    words = exemplar("Maling / Painting", painting)
    Exemplar.objects.filter(pk=words.pk).update(source=ExemplarSource.DESCRIPTION)
    decide(posting, painting, matches=(words,))
    html = admin_client.get(page(posting)).content.decode()
    assert "Category description: Maling / Painting" in html
    html = admin_client.get(page(posting), headers={"accept-language": "nb"}).content.decode()
    assert "Kategoribeskrivelse: Maling / Painting" in html


def test_a_decision_about_another_text_is_not_there_to_be_confirmed(
    admin_client: Client, posting: JobPosting, painting: Category
) -> None:
    decide(posting, painting, probability=0.934)
    JobPosting.objects.filter(pk=posting.pk).update(title="Flytte piano")
    html = admin_client.get(page(posting)).content.decode()
    assert "The text has changed" in html
    assert "Confirm: Painting" not in html


def test_bars_are_readable_in_every_language(
    admin_client: Client, posting: JobPosting, painting: Category
) -> None:
    decide(posting, painting, probability=0.934)
    html = admin_client.get(page(posting), headers={"accept-language": "nb"}).content.decode()
    assert 'value="0.934"' in html
    assert "93,4" in html


def test_a_match_that_was_deleted_since_is_said_to_be(
    admin_client: Client, posting: JobPosting, painting: Category
) -> None:
    match = exemplar("Male vegger", painting)
    decide(posting, painting, matches=(match,))
    match.delete()
    assert b"(deleted)" in admin_client.get(page(posting)).content


def test_the_page_costs_as_many_queries_for_20_matches_as_for_1(
    admin_client: Client, catalog: dict[str, Category]
) -> None:
    exemplars = [exemplar(f"Male {n}", catalog["maling" if n % 2 else "plen"]) for n in range(20)]
    one, twenty = (JobPosting.objects.create(title=title) for title in ("En", "Tjue"))
    decide(one, catalog["maling"], matches=tuple(exemplars[:1]))
    decide(
        twenty, catalog["maling"], matches=tuple(exemplars),
        choice_keys=["maling", "plen", "rorlegger", "hage", ""],
        choice_probabilities=[0.2] * 5,
    )  # fmt: skip
    for _ in range(5):
        decide(twenty, catalog["plen"], matches=tuple(exemplars))
    counts = []
    admin_client.get(page(one))
    for job in (one, twenty):
        with CaptureQueriesContext(connection) as captured:
            assert admin_client.get(page(job)).status_code == 200
        counts.append(len(captured))
    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "Waiting for a decision since"),
        (
            {"token": "0" * 32, "worker": 1, "lease_expires_at": timezone.now()},
            "In progress; queued since",
        ),
        ({"failed_at": timezone.now(), "last_error": "out of memory"}, "out of memory"),
        (None, "No decision yet"),
    ],
)
def test_a_posting_without_decision_says_what_it_waits_for(
    admin_client: Client, posting: JobPosting, fields: dict[str, Any] | None, expected: str
) -> None:
    if fields is not None:
        pend(posting, **fields)
    html = admin_client.get(page(posting)).content.decode()
    assert expected in html
    assert 'value="confirm"' not in html


def test_confirming_is_recorded_with_its_exemplar(
    admin_client: Client, admin_user: Any, posting: JobPosting, painting: Category
) -> None:
    decision = decide(posting, painting)
    response = press(admin_client, posting, decision, answer="confirm")
    assert response.redirect_chain[-1][0] == page(posting)
    answered = current(posting)
    assert (answered.outcome, answered.category_id) == (Outcome.CONFIRMED, painting.pk)
    assert answered.decided_by == admin_user
    assert Exemplar.objects.get(posting=posting).category == painting
    posting.refresh_from_db()
    assert (posting.category, posting.category_set_by) == (painting, "person")
    html = response.content.decode()
    assert "admin" in html and "superseded" in html
    assert 'value="confirm"' not in html  # there is nothing left to confirm


@pytest.mark.parametrize("button", ["correct", "choice"])
def test_another_category_is_recorded(
    admin_client: Client, posting: JobPosting, catalog: dict[str, Category], button: str
) -> None:
    decision = decide(posting, catalog["maling"])
    lawns = catalog["plen"].pk
    data = {"choice": lawns} if button == "choice" else {"answer": "correct", "category": lawns}
    press(admin_client, posting, decision, **data)
    assert current(posting).outcome == Outcome.CORRECTED
    assert current(posting).category_id == lawns


def test_none_fits_is_recorded(
    admin_client: Client, posting: JobPosting, painting: Category
) -> None:
    press(admin_client, posting, decide(posting, painting), answer="none")
    assert current(posting).category_id is None
    assert Exemplar.objects.get(posting=posting).is_none


def test_a_proposal_that_nothing_fits_is_confirmed_as_such(
    admin_client: Client, posting: JobPosting, painting: Category
) -> None:
    press(admin_client, posting, decide(posting, None, probability=0.8), answer="confirm")
    assert current(posting).outcome == Outcome.CONFIRMED
    assert Exemplar.objects.get(posting=posting).is_none


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"answer": "correct", "category": ""}, "Choose a category first."),
        ({"answer": "correct", "category": "999999"}, "no longer exists"),
        ({"answer": "correct", "category": "'; DROP"}, "no longer exists"),
        ({"answer": "confirm", "seen": "abc"}, "no longer exists"),
        ({"answer": "confirm", "seen": "999999999"}, "no proposed category"),
        ({}, "Choose a category first."),
    ],
)
def test_an_answer_that_cannot_be_recorded_is_a_message(
    admin_client: Client, posting: JobPosting, painting: Category, data: Any, message: str
) -> None:
    decision = decide(posting, painting)
    response = press(admin_client, posting, decision, **data)
    assert response.status_code == 200
    assert message in "".join(messages_of(response))
    assert current(posting) == decision


def test_an_answer_about_what_has_changed_meanwhile_is_a_message(
    admin_client: Client, posting: JobPosting, catalog: dict[str, Category]
) -> None:
    seen = decide(posting, catalog["maling"])
    newer = decide(posting, catalog["plen"])
    response = press(admin_client, posting, seen, answer="confirm")
    assert "changed the decision meanwhile" in messages_of(response)[0]
    assert current(posting) == newer
    assert not Exemplar.objects.exists()


def test_the_answer_needs_post_csrf_and_permission(
    client: Client, posting: JobPosting, painting: Category
) -> None:
    decision = decide(posting, painting)
    data = {"seen": decision.pk, "answer": "confirm"}
    assert client.post(answer_url(posting), data).status_code == 302  # to the login
    client.force_login(staff("viewer", "view_jobposting", "view_decision"))
    html = client.get(page(posting)).content.decode()
    assert "needs review" in html and 'value="confirm"' not in html and "mai-answer" not in html
    assert client.post(answer_url(posting), data).status_code == 403

    moderator = staff("moderator", "view_jobposting", "change_jobposting")
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(moderator)
    assert strict.post(answer_url(posting), data).status_code == 403
    client.force_login(moderator)
    assert client.get(answer_url(posting)).status_code == 405
    assert current(posting) == decision
    assert client.post(answer_url(posting), data).status_code == 302
    assert current(posting).decided_by == moderator


def test_an_answer_about_a_posting_that_is_gone_is_not_found(
    admin_client: Client, posting: JobPosting
) -> None:
    url = answer_url(posting)
    posting.delete()
    assert admin_client.post(url, {"answer": "none"}).status_code == 404


# -- many at once ------------------------------------------------------------------------


def test_confirming_many_leaves_alone_what_it_must(
    admin_client: Client, catalog: dict[str, Category]
) -> None:
    titles = ["god", "uten", "egen", "ferdig", "endret"]
    good, without, own, done, changed = (JobPosting.objects.create(title=t) for t in titles)
    painting, lawns = catalog["maling"], catalog["plen"]
    shown = [decide(good, painting)]
    JobPosting.objects.filter(pk=own.pk).update(category=lawns)
    shown.append(decide(own, painting, Outcome.HUMAN_OVERRIDE))
    shown.append(decide(done, painting, Outcome.CONFIRMED, None, is_answered=True))
    shown.append(decide(changed, painting))
    newer = decide(changed, lawns)
    decide_nothing = decide(without, None, probability=None)
    shown.append(decide_nothing)

    response = act(admin_client, "confirm_proposed", [good, without, own, done, changed], shown)
    told = messages_of(response)
    assert told == [
        "Your answer for 1 posting was recorded.",
        "1 posting was skipped: no category is proposed for it. Open it and choose a category.",
        "1 posting was skipped: a person gave it another category.",
        "1 posting already had this answer from a person.",
        "1 posting was skipped: Somebody else or a new text has changed the decision meanwhile.",
    ]
    assert current(good).outcome == Outcome.CONFIRMED
    assert current(changed) == newer
    assert Exemplar.objects.count() == 1


def test_what_nobody_decided_yet_is_not_confirmed(
    admin_client: Client, posting: JobPosting
) -> None:
    response = act(admin_client, "confirm_proposed", [posting], [])
    assert "no category is proposed" in messages_of(response)[0]
    assert not Decision.objects.exists()


def test_none_fits_for_many(admin_client: Client, catalog: dict[str, Category]) -> None:
    jobs = [JobPosting.objects.create(title=f"Hei {n}") for n in range(3)]
    shown = [decide(jobs[0], catalog["maling"]), decide(jobs[1], None, Outcome.NONE)]
    response = act(admin_client, "answer_none", jobs, shown)
    assert messages_of(response) == ["Your answers for 3 postings were recorded."]
    assert {current(job).outcome for job in jobs} == {Outcome.CONFIRMED, Outcome.CORRECTED}
    assert Exemplar.objects.filter(is_none=True).count() == 3
    again = act(admin_client, "answer_none", jobs, [current(job) for job in jobs])
    assert messages_of(again) == ["3 postings already had this answer from a person."]


def test_more_than_can_be_answered_at_once_is_refused_whole(
    admin_client: Client, painting: Category, monkeypatch: Any
) -> None:
    monkeypatch.setattr(bulk_review, "LARGEST_BULK", 2)
    jobs = [JobPosting.objects.create(title=str(n)) for n in range(3)]
    shown = [decide(job, painting) for job in jobs]
    response = act(admin_client, "confirm_proposed", jobs, shown)
    assert "at most 2" in messages_of(response)[0]
    assert not Exemplar.objects.exists()


def test_who_may_only_look_has_no_actions(
    client: Client, posting: JobPosting, painting: Category
) -> None:
    decision = decide(posting, painting)
    client.force_login(staff("viewer", "view_jobposting", "view_decision", "view_exemplar"))
    for url in (reverse(LIST), reverse(REVIEW)):
        html = client.get(url).content.decode()
        assert "Male stue" in html
        assert "confirm_proposed" not in html and "answer_none" not in html
        client.post(
            url, {"action": "confirm_proposed", "_selected_action": [posting.pk, decision.pk]}
        )
    assert current(posting) == decision
