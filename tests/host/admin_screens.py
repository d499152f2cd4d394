"""The screens over a host's own models: UUID and text keys, no admin for its categories."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from marketplace_ai.adapter import get_adapter
from marketplace_ai.models import (
    AuditedPosting,
    Category,
    Decision,
    Exemplar,
    ExemplarSource,
    JobPosting,
    Outcome,
    QueuedPosting,
)
from marketplace_ai.queue import audit_sample
from marketplace_ai.text.normalize import digest
from tests.host.models import Job, Section

pytestmark = pytest.mark.django_db

LIST = "admin:host_job_changelist"


def decide(job: Job, section: Section) -> Decision:
    text = f"Male {job.pk}"
    match = Exemplar.objects.create(
        text=text, text_digest=digest(text), category=section, category_key=section.code,
        source=ExemplarSource.IMPORTED, posting=job,
    )  # fmt: skip
    return Decision.objects.create(
        posting=job, category=section, category_key=section.code, category_name=str(section),
        probability=0.8, threshold=0.9, outcome=Outcome.REVIEW,
        text_digest=digest(get_adapter().encoder_input(job)),
        decided_at=timezone.now(), match_exemplars=[match.pk], match_similarities=[0.9],
        match_shares=[0.5], choice_keys=[section.code, ""], choice_probabilities=[0.8, 0.1],
    )  # fmt: skip


def add(section: Section, number: int) -> list[Decision]:
    return [decide(Job.objects.create(headline=f"Male {n}"), section) for n in range(number)]


def page(job_id: Any, name: str = "change") -> str:
    return reverse(f"admin:host_job_{name}", args=[job_id])


def test_our_models_that_the_host_replaced_have_no_screens() -> None:
    assert JobPosting not in admin.site._registry
    assert Category not in admin.site._registry


def test_the_hosts_list_has_our_columns_filter_and_actions_besides_its_own(
    admin_client: Client, sections: dict[str, Section]
) -> None:
    add(sections["maling"], 3)
    html = admin_client.get(reverse(LIST)).content.decode()
    names = ("headline", "outcome", "status", "given_category", "category_by", "probability")
    places = [html.index(f"column-{name}") for name in names]
    assert places == sorted(places)
    for text in ("needs review", "proposed: Section Maling", "confirm_proposed", "publish"):
        assert text in html
    filtered = admin_client.get(reverse(LIST), {"outcome": "review", "status": "published"})
    assert filtered.context["cl"].result_count == 3
    assert admin_client.get(reverse(LIST), {"outcome": "automatic"}).context["cl"].result_count == 0


@pytest.mark.parametrize(
    "name",
    [
        LIST,
        "admin:marketplace_ai_decision_changelist",
        "admin:marketplace_ai_decision_review",
        "admin:marketplace_ai_exemplar_changelist",
    ],
)
def test_the_lists_cost_no_query_per_row(
    admin_client: Client, sections: dict[str, Section], name: str
) -> None:
    counts = []
    for number in (10, 90):
        add(sections["maling"], number)
        admin_client.get(reverse(name))
        with CaptureQueriesContext(connection) as captured:
            assert admin_client.get(reverse(name)).status_code == 200
        counts.append(len(captured))
    assert counts[0] == counts[1]


def test_a_posting_is_answered_in_the_hosts_own_admin(
    admin_client: Client, sections: dict[str, Section]
) -> None:
    (decision,) = add(sections["maling"], 1)
    html = admin_client.get(page(decision.posting_id)).content.decode()
    assert "Confirm: Section Maling" in html
    assert 'name="choice" value="s-maling"' in html
    data = {"seen": decision.pk, "answer": "correct", "category": "s-plen"}
    admin_client.post(page(decision.posting_id, "answer"), data)
    job = Job.objects.get()
    assert job.section == sections["plen"]
    assert Decision.objects.get(is_current=True).outcome == Outcome.CORRECTED
    assert admin_client.post(page(uuid.uuid4(), "answer"), data).status_code == 404


def test_many_are_confirmed_in_the_hosts_list(
    admin_client: Client, sections: dict[str, Section]
) -> None:
    decisions = add(sections["maling"], 2)
    data = {"action": "confirm_proposed", "_selected_action": [d.posting_id for d in decisions]}
    admin_client.post(reverse(LIST), data)
    assert Job.objects.filter(section=sections["maling"]).count() == 2


def test_a_category_changed_in_the_hosts_form_is_an_answer(
    admin_client: Client, sections: dict[str, Section]
) -> None:
    (decision,) = add(sections["maling"], 1)
    data = {
        "headline": "Male", "body": "", "section": "s-plen", "initial-section": "",
        "status": "published", "posted_at_0": "2026-01-01", "posted_at_1": "10:00:00",
        "ident": str(decision.posting_id),
    }  # fmt: skip
    assert admin_client.post(page(decision.posting_id), data).status_code == 302
    assert Decision.objects.get(is_current=True).category_id == "s-plen"
    assert Job.objects.get().section == sections["plen"]


def test_the_queue_and_a_decision_lead_to_the_hosts_posting(
    admin_client: Client, sections: dict[str, Section]
) -> None:
    (decision,) = add(sections["maling"], 1)
    now = timezone.now()
    QueuedPosting.objects.create(posting_id=decision.posting_id, queued_at=now, scheduled_at=now)
    url = page(decision.posting_id)
    for name, args in (
        ("queuedposting_changelist", []), ("decision_changelist", []), ("decision_review", []),
        ("decision_change", [decision.pk]), ("exemplar_change", [decision.match_exemplars[0]]),
    ):  # fmt: skip
        response = admin_client.get(reverse(f"admin:marketplace_ai_{name}", args=args))
        assert f'href="{url}' in response.content.decode(), name


def test_the_audit_leads_to_the_hosts_posting_and_on_to_the_next(
    admin_client: Client, sections: dict[str, Section], settings: Any
) -> None:
    settings.MARKETPLACE_AI_AUDIT_SAMPLE_RATE = 1
    decisions = add(sections["maling"], 2)
    audit_sample.record([decision.posting_id for decision in decisions])
    audits = reverse("admin:marketplace_ai_auditedposting_changelist")
    html = admin_client.get(audits).content.decode()
    for decision in decisions:
        assert f'href="{page(decision.posting_id)}?_audit=1"' in html
    places = [page(row.posting_id) for row in AuditedPosting.objects.order_by("drawn_at", "pk")]
    first = Decision.objects.get(
        posting_id=AuditedPosting.objects.earliest("drawn_at", "pk").posting_id
    )
    data = {"seen": first.pk, "answer": "confirm"}
    answered = admin_client.post(f"{page(first.posting_id, 'answer')}?_audit=1", data)
    assert answered["Location"] == f"{places[1]}?_audit=1"
