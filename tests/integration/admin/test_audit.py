"""The screens of the audit and of automation."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from marketplace_ai.audit import stops
from marketplace_ai.models import (
    AuditedPosting,
    AutomationStop,
    Category,
    Decision,
    JobPosting,
    Outcome,
)
from marketplace_ai.review.answers import answer
from tests.integration.audit.factories import audited, judged, version

from .factories import HOSTILE, messages_of, staff

pytestmark = pytest.mark.django_db

AUDIT = reverse("admin:marketplace_ai_auditedposting_changelist")
AUTOMATION = reverse("admin:marketplace_ai_automationstop_changelist")


@pytest.fixture(autouse=True)
def everything_drawn(settings: Any) -> None:
    settings.MARKETPLACE_AI_AUDIT_SAMPLE_RATE = 1


def page(job: JobPosting, name: str = "change") -> str:
    return reverse(f"admin:marketplace_ai_jobposting_{name}", args=[job.pk])


def queries(client: Client, url: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert client.get(url).status_code == 200
    return len(captured)


def text(response: Any) -> str:
    return " ".join(re.sub("<[^>]+>", " ", response.content.decode()).split())


class TestTheAudit:
    def test_what_waits_oldest_first_leads_to_the_posting(
        self, admin_client: Client, catalog: dict[str, Category]
    ) -> None:
        made = version(catalog["maling"])
        jobs = [audited(made, catalog["maling"], age=age) for age in (10, 30, 20)]
        answered = audited(made, catalog["maling"])
        answer(answered.pk, catalog["maling"].pk, None)
        response = admin_client.get(AUDIT)
        shown = [row.posting_id for row in response.context["cl"].result_list]
        assert shown == [jobs[1].pk, jobs[2].pk, jobs[0].pk]
        assert f'href="{page(jobs[1])}?_audit=1"' in response.content.decode()

    @pytest.mark.parametrize("name", ["", "right", "wrong", "unjudged", "gone", "all"])
    def test_the_filter(
        self, admin_client: Client, catalog: dict[str, Category], name: str
    ) -> None:
        made = version(catalog["maling"])
        kinds = ("", "right", "wrong", "unjudged", "gone")
        rows = {}
        for kind in kinds:
            job = audited(made, catalog["maling"])
            rows[kind] = AuditedPosting.objects.get(posting=job).pk
            if kind == "unjudged":
                JobPosting.objects.filter(pk=job.pk).update(title="Ny tekst")
            if kind in ("right", "wrong", "unjudged"):
                answer(job.pk, catalog["maling" if kind == "right" else "plen"].pk, None)
            if kind == "gone":
                job.delete()
        response = admin_client.get(AUDIT, {"answer": name} if name else {})
        found = {row.pk for row in response.context["cl"].result_list}
        assert found == (set(rows.values()) if name == "all" else {rows[name]})

    def test_an_answer_leads_to_the_next_one(
        self, admin_client: Client, catalog: dict[str, Category]
    ) -> None:
        made = version(catalog["maling"])
        first, second, third = (audited(made, catalog["maling"], age=age) for age in (30, 20, 10))

        def press(job: JobPosting, **data: Any) -> str:
            seen = Decision.objects.get(posting=job, is_current=True).pk
            response = admin_client.post(f"{page(job, 'answer')}?_audit=1", {"seen": seen, **data})
            return str(response["Location"])

        html = admin_client.get(f"{page(second)}?_audit=1").content.decode()
        assert "Confirm: " in html
        assert "audit" in re.findall(r'<h2 id="mai-heading">(.*?)</h2>', html, re.S)[0]
        assert press(second, answer="confirm") == f"{page(third)}?_audit=1"
        assert press(third, answer="none") == f"{page(first)}?_audit=1"
        data = {"answer": "correct", "category": catalog["plen"].pk}
        assert press(first, **data) == AUDIT
        right = dict(AuditedPosting.objects.values_list("posting_id", "is_correct"))
        assert [right[job.pk] for job in (first, second, third)] == [False, True, False]

    def test_it_is_not_mixed_into_the_review_queue_but_reached_from_it(
        self, admin_client: Client, catalog: dict[str, Category]
    ) -> None:
        audited(version(catalog["maling"]), catalog["maling"])
        review = admin_client.get(reverse("admin:marketplace_ai_decision_review"))
        assert review.context["cl"].result_count == 0
        assert f'<a href="{AUDIT}">Audit (1)</a>' in review.content.decode()

    def test_the_index_says_how_many_wait_and_that_something_stopped(
        self, admin_client: Client, catalog: dict[str, Category]
    ) -> None:
        made = version(catalog["maling"])
        audited(made, catalog["maling"])
        index = text(admin_client.get(reverse("admin:index")))
        assert "Audit (1)" in index
        assert "Automation (" not in index
        stops.stop(made, "automatic", reason="x")
        assert "Automation (1 stopped)" in text(admin_client.get(reverse("admin:index")))
        own = text(admin_client.get(reverse("admin:app_list", args=["marketplace_ai"])))
        assert "Audit: 1 waiting" in own
        assert "Automation: 1 stopped" in own

    def test_empty_states(self, admin_client: Client, db: Any) -> None:
        assert "No audited postings are waiting for an answer." in text(admin_client.get(AUDIT))
        found = text(admin_client.get(AUDIT, {"answer": "wrong"}))
        assert "No audited postings match this filter." in found

    def test_one_row_is_readable_when_its_posting_is_gone(
        self, admin_client: Client, catalog: dict[str, Category]
    ) -> None:
        job = audited(version(catalog["maling"]), catalog["maling"])
        answer(job.pk, catalog["plen"].pk, None)
        job.delete()
        row = AuditedPosting.objects.get()
        url = reverse("admin:marketplace_ai_auditedposting_change", args=[row.pk])
        found = text(admin_client.get(url))
        assert "deleted" in found
        assert "wrong: " in found

    def test_who_may_see_and_answer(self, client: Client, catalog: dict[str, Category]) -> None:
        job = audited(version(catalog["maling"]), catalog["maling"])
        client.force_login(staff("nobody", "view_jobposting"))
        assert client.get(AUDIT).status_code == 403
        assert "Audit" not in text(client.get(reverse("admin:index")))
        client.force_login(staff("viewer", "view_jobposting", "view_auditedposting"))
        assert client.get(AUDIT).status_code == 200
        assert client.post(f"{page(job, 'answer')}?_audit=1", {}).status_code == 403

    @pytest.mark.slow
    def test_a_list_costs_as_many_queries_for_90_rows_as_for_10(
        self, admin_client: Client, catalog: dict[str, Category]
    ) -> None:
        made = version(catalog["maling"])
        counts = []
        for number in (10, 80):
            for _ in range(number):
                audited(made, catalog["maling"])
            admin_client.get(AUDIT)
            counts.append(queries(admin_client, AUDIT))
        assert counts[0] == counts[1]


class TestAutomation:
    def row(self, response: Any, name: str) -> str:
        rows = re.findall(r"<tr>(.*?)</tr>", response.content.decode(), re.S)
        found = next(row for row in rows if f'<th scope="row">{name}</th>' in row)
        return " ".join(re.sub("<[^>]+>", " ", found).split())

    def test_before_anything_is_fitted(self, admin_client: Client, db: Any) -> None:
        assert "No classifier is active" in text(admin_client.get(AUTOMATION))

    def test_a_line_for_each_rule_and_category(
        self, admin_client: Client, catalog: dict[str, Category]
    ) -> None:
        made = version(catalog["maling"], catalog["plen"])
        judged(made, catalog["maling"], right=20, wrong=1)
        audited(made, catalog["maling"])
        response = admin_client.get(AUTOMATION)
        assert self.row(response, "All categories").startswith(
            "All categories running 97.0% 21 1 1"
        )
        painting = self.row(response, catalog["maling"].name_en)
        assert painting.startswith(
            f"{catalog['maling'].name_en} running with all categories 21 1 1 "
        )
        assert painting.endswith(f"(stops at 40) Stop… {catalog['maling'].name_en}")
        assert "with all categories 0 0 0 — 1.0 (stops at 40)" in self.row(
            response, catalog["plen"].name_en
        )

    @pytest.mark.slow
    def test_what_stopped_says_why_and_a_person_resumes_it(
        self, admin_client: Client, admin_user: Any, catalog: dict[str, Category]
    ) -> None:
        made = version(catalog["maling"], catalog["plen"])
        judged(made, catalog["plen"], right=30, wrong=0)
        judged(made, catalog["maling"], right=0, wrong=12)
        stops.stop_refuted(made.pk)
        stop = AutomationStop.objects.get()
        response = admin_client.get(AUTOMATION)
        painting = self.row(response, catalog["maling"].name_en)
        reason = "audited postings were wrong, which refutes the guarantee of 97.0%."
        assert "stopped" in painting
        assert reason in painting
        url = reverse("admin:marketplace_ai_automationstop_resume", args=[stop.pk])
        assert f'href="{url}"' in response.content.decode()
        assert reason in text(admin_client.get(url))

        assert "required" in admin_client.post(url, {"reason": " "}).content.decode()
        stop.refresh_from_db()
        assert stop.resumed_at is None
        done = admin_client.post(url, {"reason": "New exemplars"}, follow=True)
        assert "is resumed" in messages_of(done)[0]
        stop.refresh_from_db()
        assert (stop.resumed_by, stop.resume_reason) == (admin_user, "New exemplars")
        assert "New exemplars" in LogEntry.objects.latest("pk").change_message
        assert "running" in self.row(done, catalog["maling"].name_en)
        assert "New exemplars" in text(done)
        again = admin_client.post(url, {"reason": "Twice"}, follow=True)
        assert "already been resumed" in messages_of(again)[0]

    @pytest.mark.parametrize("category", [None, "maling"])
    def test_a_person_stops_it(
        self, admin_client: Client, admin_user: Any, catalog: dict[str, Category],
        category: str | None,
    ) -> None:  # fmt: skip
        made = version(catalog["maling"])
        url = reverse("admin:marketplace_ai_automationstop_stop", args=["automatic"])
        if category:
            url += f"?category={catalog[category].pk}"
        assert f'href="{url}"' in admin_client.get(AUTOMATION).content.decode()
        assert "From the next batch on, these postings go to review" in text(admin_client.get(url))
        done = admin_client.post(url, {"reason": HOSTILE}, follow=True)
        assert "is stopped" in messages_of(done)[0]
        assert "<script>alert" not in done.content.decode()
        stop = AutomationStop.objects.get()
        assert (stop.stopped_by, stop.category_key) == (admin_user, category or "")
        assert stops.load_stops(made.pk).rules == (set() if category else {"automatic"})
        if category is None:
            painting = self.row(done, catalog["maling"].name_en)
            assert "stopped for all categories" in painting
        again = admin_client.post(url, {"reason": "Twice"}, follow=True)
        assert "already been stopped" in messages_of(again)[0]

    @pytest.mark.parametrize(
        "path", ["review/", "automatic/?category=987", "none/?category=1", "automatic/?category=x"]
    )
    def test_what_is_not_automatic_cannot_be_stopped(
        self, admin_client: Client, catalog: dict[str, Category], path: str
    ) -> None:
        version(catalog["maling"])
        assert admin_client.get(f"{AUTOMATION}stop/{path}").status_code == 404

    def test_only_a_post_of_somebody_who_may_changes_anything(
        self, client: Client, catalog: dict[str, Category]
    ) -> None:
        made = version(catalog["maling"])
        stop = stops.stop(made, "automatic", reason="x")
        assert stop is not None
        urls = (
            reverse("admin:marketplace_ai_automationstop_resume", args=[stop.pk]),
            reverse("admin:marketplace_ai_automationstop_stop", args=["none"]),
        )
        client.force_login(staff("viewer", "view_automationstop"))
        response = client.get(AUTOMATION)
        assert response.status_code == 200
        assert "Resume…" not in text(response)
        for url in urls:
            assert client.get(url).status_code == 403
            assert client.post(url, {"reason": "x"}).status_code == 403
        client.force_login(staff("lead", "view_automationstop", "change_automationstop"))
        assert client.get(urls[0]).status_code == 200
        assert AutomationStop.objects.get().resumed_at is None
        assert client.post(urls[0], {"reason": "x"}).status_code == 302
        assert AutomationStop.objects.get().resumed_at is not None

    def test_a_stop_that_a_new_fit_ended_reads_so(
        self, admin_client: Client, catalog: dict[str, Category]
    ) -> None:
        stop = stops.stop(version(catalog["maling"]), "automatic", reason="x")
        assert stop is not None
        version(catalog["maling"], calibrated_on="audits")
        found = text(admin_client.get(AUTOMATION))
        assert "superseded by a new classifier" in found
        assert "Automation: " not in found
        url = reverse("admin:marketplace_ai_automationstop_change", args=[stop.pk])
        assert "superseded by a new classifier" in text(admin_client.get(url))

    @pytest.mark.slow
    def test_it_costs_as_many_queries_for_60_categories_as_for_3(
        self, admin_client: Client, catalog: dict[str, Category]
    ) -> None:
        counts = []
        for number in (3, 60):
            categories = [
                Category.objects.create(slug=f"c{number}-{n}", name=f"C {n}") for n in range(number)
            ]
            made = version(*categories)
            for category in categories:
                judged(made, category, right=2, wrong=1, outcome=Outcome.AUTOMATIC)
                stops.stop(made, "automatic", category.pk, key=category.slug, reason="x")
            admin_client.get(AUTOMATION)
            counts.append(queries(admin_client, AUTOMATION))
        assert counts[0] == counts[1]
