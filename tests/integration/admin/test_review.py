"""The review queue and the posting's own form: answers in passing, recorded as all others."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from marketplace_ai.admin.postings import JobPostingAdmin
from marketplace_ai.models import (
    Category,
    Decision,
    Exemplar,
    JobPosting,
    Outcome,
)
from marketplace_ai.review import ranks

from .factories import decide, messages_of

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


# -- the review queue --------------------------------------------------------------------


def test_the_review_queue_has_the_oldest_first_and_nothing_else(
    admin_client: Client, catalog: dict[str, Category]
) -> None:
    old, new, done = (JobPosting.objects.create(title=t) for t in ("Gammel", "Ny", "Ferdig"))
    decide(done, catalog["maling"])
    decide(done, catalog["maling"], Outcome.AUTOMATIC)
    decide(old, catalog["maling"], probability=0.9)
    decide(new, catalog["plen"], probability=0.2)
    response = admin_client.get(reverse(REVIEW))
    assert [d.posting.title for d in response.context["cl"].result_list] == ["Gammel", "Ny"]
    assert f'href="{page(old)}?_review=1"' in response.content.decode()
    least_certain = admin_client.get(reverse(REVIEW), {"o": "3"})
    assert [d.posting.title for d in least_certain.context["cl"].result_list] == ["Ny", "Gammel"]
    found = admin_client.get(reverse(REVIEW), {"q": "gressplen"})
    assert [d.posting.title for d in found.context["cl"].result_list] == ["Ny"]


@pytest.fixture
def regional(monkeypatch: Any) -> None:
    """A host whose job admin shows postings in Oslo only, and lets only those be changed
    whose title does not say that they are closed."""
    monkeypatch.setattr(
        JobPostingAdmin, "get_queryset",
        lambda self, request: JobPosting.objects.filter(title__startswith="Oslo"),
    )  # fmt: skip
    monkeypatch.setattr(
        JobPostingAdmin, "has_change_permission",
        lambda self, request, obj=None: obj is None or "lukket" not in obj.title,
    )  # fmt: skip


def test_decisions_are_shown_to_those_who_find_the_posting(
    admin_client: Client, painting: Category, regional: None
) -> None:
    titles = ("Bergen", "Oslo 1", "Oslo 2", "Bergen 2")
    jobs = [JobPosting.objects.create(title=title) for title in titles]
    bergen, first, second, _ = [decide(job, painting) for job in jobs]
    for name, expected in ((REVIEW, [first, second]), (DECISIONS, [second, first])):
        assert list(admin_client.get(reverse(name)).context["cl"].result_list) == expected
    one = reverse("admin:marketplace_ai_decision_change", args=[bergen.pk])
    assert admin_client.get(one).status_code == 302
    data = {"action": "confirm_proposed", "_selected_action": [bergen.pk]}
    admin_client.post(reverse(REVIEW), data)
    assert current(jobs[0]) == bergen
    response = admin_client.post(
        answer_url(jobs[2]) + "?_review=1", {"answer": "confirm", "seen": second.pk}
    )
    assert response["Location"] == page(jobs[1]) + "?_review=1"


def test_a_posting_that_may_not_be_changed_is_not_answered_in_the_review_queue(
    admin_client: Client, painting: Category, regional: None
) -> None:
    jobs = [JobPosting.objects.create(title=title) for title in ("Oslo", "Oslo lukket")]
    shown = [decide(job, painting) for job in jobs]
    data = {"action": "confirm_proposed", "_selected_action": [d.pk for d in shown]}
    assert admin_client.post(reverse(REVIEW), data).status_code == 403
    assert [current(job) for job in jobs] == shown


def test_an_empty_review_queue_says_so(admin_client: Client, db: Any) -> None:
    assert b"No postings need review" in admin_client.get(reverse(REVIEW)).content


def test_an_answer_in_review_leads_to_the_next_one(
    admin_client: Client, painting: Category
) -> None:
    first, second = (JobPosting.objects.create(title=t) for t in ("En", "To"))
    decisions = [decide(first, painting), decide(second, painting)]

    def confirm(job: JobPosting, decision: Decision) -> str:
        data = {"seen": decision.pk, "answer": "confirm"}
        response = admin_client.post(answer_url(job) + "?_review=1", data)
        return str(response["Location"])

    assert confirm(second, decisions[1]) == page(first) + "?_review=1"
    assert confirm(first, decisions[0]) == reverse(REVIEW)


def test_the_review_queue_confirms_many_and_tells_of_those_that_are_gone(
    admin_client: Client, painting: Category
) -> None:
    jobs = [JobPosting.objects.create(title=str(n)) for n in range(3)]
    shown = [decide(job, painting) for job in jobs]
    decide(jobs[2], painting, Outcome.AUTOMATIC)
    response = admin_client.post(
        reverse(REVIEW),
        {"action": "confirm_proposed", "_selected_action": [d.pk for d in shown]},
        follow=True,
    )
    assert messages_of(response) == [
        "1 posting was answered or decided again in the meantime.",
        "Your answers for 2 postings were recorded.",
    ]


# -- the posting's own form --------------------------------------------------------------


def save(client: Client, job: JobPosting, seen: Category | None, **changes: Any) -> Any:
    data = {
        "title": job.title, "description": job.description,
        "category": seen.pk if seen else "", "initial-category": seen.pk if seen else "",
        **changes,
    }  # fmt: skip
    return client.post(page(job), data)


def test_a_category_changed_in_the_form_is_an_answer(
    admin_client: Client, posting: JobPosting, catalog: dict[str, Category]
) -> None:
    decide(posting, catalog["maling"])
    response = save(admin_client, posting, None, category=catalog["plen"].pk, title="Klippe")
    assert response.status_code == 302
    assert Decision.objects.filter(posting=posting).count() == 2
    assert current(posting).outcome == Outcome.CORRECTED
    learnt = Exemplar.objects.get(posting=posting)
    assert learnt.category == catalog["plen"]
    assert learnt.text.startswith("Klippe")  # what was saved with it
    posting.refresh_from_db()
    assert (posting.category, posting.category_set_by) == (catalog["plen"], "person")


def test_anything_else_changed_in_the_form_is_none(
    admin_client: Client, posting: JobPosting, painting: Category
) -> None:
    decision = decide(posting, painting, Outcome.AUTOMATIC)
    save(admin_client, posting, painting, title="Male kjøkken")
    assert current(posting) == decision
    posting.refresh_from_db()
    assert (posting.title, posting.category_set_by) == ("Male kjøkken", "machine")


def test_what_the_machine_wrote_while_the_form_was_open_stands(
    admin_client: Client, posting: JobPosting, painting: Category
) -> None:
    html = admin_client.get(page(posting)).content.decode()
    assert 'name="initial-category"' in html
    decision = decide(posting, painting, Outcome.AUTOMATIC)
    save(admin_client, posting, None, title="Male kjøkken")
    posting.refresh_from_db()
    assert (posting.title, posting.category, posting.category_set_by) == (
        "Male kjøkken", painting, "machine",
    )  # fmt: skip
    assert current(posting) == decision


def test_a_category_taken_away_in_the_form_is_none_fits(
    admin_client: Client, posting: JobPosting, painting: Category
) -> None:
    decide(posting, painting, Outcome.AUTOMATIC)
    save(admin_client, posting, painting, category="")
    assert current(posting).category_id is None
    assert current(posting).outcome == Outcome.CORRECTED
    posting.refresh_from_db()
    assert (posting.category, posting.category_set_by) == (None, "")


@pytest.mark.parametrize("given", [True, False])
def test_a_posting_made_in_the_admin_is_answered_only_with_a_category(
    admin_client: Client, painting: Category, given: bool
) -> None:
    data = {"title": "Ny", "description": "", "category": painting.pk if given else ""}
    admin_client.post(reverse("admin:marketplace_ai_jobposting_add"), data)
    job = JobPosting.objects.get(title="Ny")
    assert Decision.objects.filter(posting=job).count() == int(given)
    assert job.category_set_by == ("person" if given else "")


def test_an_answer_that_fails_with_the_form_saves_nothing_and_says_why(
    admin_client: Client, posting: JobPosting, painting: Category, monkeypatch: Any
) -> None:
    from marketplace_ai.admin import job_admin
    from marketplace_ai.review.answers import AnswerError

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AnswerError("The category does not exist any more.")

    monkeypatch.setattr(job_admin, "answer", refuse)
    save(admin_client, posting, None, category=painting.pk, title="Annet")
    response = admin_client.get(page(posting))
    assert messages_of(response) == ["The category does not exist any more."]
    posting.refresh_from_db()
    assert (posting.title, posting.category) == ("Male stue og gang", None)


# -- what teaches most first -------------------------------------------------------------


@pytest.fixture
def ranked(painting: Category) -> list[JobPosting]:
    """Four postings that wait; the third teaches most, then the first; the others have no rank."""
    jobs = [JobPosting.objects.create(title=title) for title in ("En", "To", "Tre", "Fire")]
    decisions = [decide(job, painting) for job in jobs]
    ranks.store([decisions[2].pk, decisions[0].pk])
    return jobs


def test_what_teaches_most_comes_first_and_what_has_no_rank_last_with_the_oldest_first(
    admin_client: Client, ranked: list[JobPosting]
) -> None:
    oldest = admin_client.get(reverse(REVIEW))
    assert [d.posting.title for d in oldest.context["cl"].result_list] == [
        "En",
        "To",
        "Tre",
        "Fire",
    ]
    column = oldest.context["cl"].rank_column
    assert f'href="?o={column}"' in oldest.content.decode()
    response = admin_client.get(reverse(REVIEW), {"o": column})
    titles = [d.posting.title for d in response.context["cl"].result_list]
    assert titles == ["Tre", "En", "To", "Fire"]
    assert f'href="{page(ranked[2])}?_review=rank"' in response.content.decode()
    assert "as plan_labels found 0" in response.content.decode()


def test_the_order_costs_no_query_more(admin_client: Client, ranked: list[JobPosting]) -> None:
    url = reverse(REVIEW)
    admin_client.get(url)
    with CaptureQueriesContext(connection) as oldest:
        column = admin_client.get(url).context["cl"].rank_column
    with CaptureQueriesContext(connection) as by_rank:
        admin_client.get(url, {"o": column})
    assert len(by_rank) == len(oldest)


def test_an_answer_leads_to_what_teaches_most_next(
    admin_client: Client, ranked: list[JobPosting]
) -> None:
    def confirm(job: JobPosting) -> str:
        data = {"seen": current(job).pk, "answer": "confirm"}
        return str(admin_client.post(answer_url(job) + "?_review=rank", data)["Location"])

    assert confirm(ranked[2]) == page(ranked[0]) + "?_review=rank"
    assert confirm(ranked[0]) == page(ranked[1]) + "?_review=rank"
    assert confirm(ranked[1]) == page(ranked[3]) + "?_review=rank"
    assert confirm(ranked[3]) == reverse(REVIEW)


def test_without_a_stored_order_the_list_says_how_to_get_one(
    admin_client: Client, painting: Category
) -> None:
    decide(JobPosting.objects.create(title="En"), painting)
    column = admin_client.get(reverse(REVIEW)).context["cl"].rank_column
    shown = admin_client.get(reverse(REVIEW), {"o": column}).content.decode()
    assert "run plan_labels --store" in shown
