"""What people read about a posting whose text is nothing after scrubbing."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from marketplace_ai.models import Category, Decision, Exemplar, JobPosting, Outcome
from tests.integration.worker_runs import current, drain

from .factories import messages_of

pytestmark = pytest.mark.django_db

BLANK = ["", "...", "🎉🎉", "ola.nordmann@example.com", "900 12 345", "https://example.com/ad/17"]


@pytest.mark.parametrize("title", BLANK)
def test_it_is_decided_as_nothing_to_go_by_and_the_page_says_so(
    fitted: None, admin_client: Client, title: str
) -> None:
    job = JobPosting.objects.create(title=title)
    drain()
    decision = current(job)
    assert (decision.outcome, decision.category, decision.probability) == (Outcome.NONE, None, None)
    page = reverse("admin:marketplace_ai_jobposting_change", args=[job.pk])
    html = admin_client.get(page).content.decode()
    assert "The text has nothing to go by" in html
    assert "No exemplars voted" not in html
    html = admin_client.get(page, headers={"accept-language": "nb"}).content.decode()
    assert "Teksten har ingenting å gå etter" in html


@pytest.mark.parametrize("title", BLANK)
def test_an_answer_about_it_is_recorded_and_becomes_no_exemplar(
    admin_client: Client, catalog: dict[str, Category], db: Any, title: str
) -> None:
    job = JobPosting.objects.create(title=title)
    url = reverse("admin:marketplace_ai_jobposting_answer", args=[job.pk])
    data = {"answer": "correct", "category": catalog["plen"].pk}
    said = messages_of(admin_client.post(url, data, follow=True))
    assert any("1 posting has nothing to learn from" in line for line in said)
    assert Decision.objects.get(posting=job).outcome == Outcome.CORRECTED
    assert not Exemplar.objects.filter(posting=job).exists()
    job = JobPosting.objects.create(title="Klippe plen")
    url = reverse("admin:marketplace_ai_jobposting_answer", args=[job.pk])
    said = messages_of(admin_client.post(url, data, follow=True))
    assert not any("nothing to learn" in line for line in said)
