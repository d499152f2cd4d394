"""Pages show a category's name in the reader's language, and the stored name once it is deleted."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from marketplace_ai.audit import stops
from marketplace_ai.models import (
    AuditedPosting,
    Category,
    Decision,
    Encoder,
    JobPosting,
    Outcome,
    ShadowDecision,
)
from tests.integration.audit.factories import version

from .factories import decide, exemplar
from .test_encoders import big, shadow, small, worse

pytestmark = pytest.mark.django_db

__all__ = ["big", "small", "worse"]

STORED = "Name in the table"
NAMES = [("en", "Painting"), ("nb", "Maling")]


def url(name: str, *args: Any) -> str:
    return reverse(f"admin:marketplace_ai_{name}", args=args)


def read(client: Client, address: str, language: str) -> str:
    """The HTML of a page for a reader of this language."""
    response = client.get(address, headers={"accept-language": language})
    assert response.status_code == 200, address
    return str(response.content.decode())


@pytest.fixture
def addresses(catalog: dict[str, Category]) -> dict[str, str]:
    """Pages about a category, each with rows that store another name for it."""
    painting = catalog["maling"]
    made = version(painting, catalog["plen"])
    made.figures["categories"] = [
        {**row, "name": STORED} if row["label"] == str(painting.pk) else row
        for row in made.figures["categories"]
    ]
    made.save(update_fields=["figures"])
    waiting = JobPosting.objects.create(title="Rull")
    decision = decide(waiting, painting, matches=(exemplar("Male vegg", painting),))
    answered = JobPosting.objects.create(title="Tak")
    decide(answered, catalog["plen"])
    audits = [
        AuditedPosting.objects.create(
            posting=job, classifier=made, outcome=Outcome.AUTOMATIC, probability=0.99,
            text_digest=b"x", drawn_at=timezone.now(), category=painting,
            category_key="maling", category_name=STORED, **fields,
        )
        for job, fields in (
            (waiting, {}),
            (answered, {
                "answered_at": timezone.now(), "is_correct": False, "answer": painting,
                "answer_key": "maling", "answer_name": STORED,
            }),
        )
    ]  # fmt: skip
    stop = stops.stop(made, "automatic", painting.pk, key="maling", name=STORED, reason="drift")
    assert stop is not None
    candidate = Encoder.objects.create(
        name="next", source="dummy", dimension=8, max_tokens=16, dtype="float32",
        weights_hash="1" * 64,
    )  # fmt: skip
    decide(answered, painting)
    shadow(candidate, answered, catalog["plen"])
    shadow(candidate, waiting, None, Outcome.NONE)
    Decision.objects.filter(category=painting).update(category_name=STORED)
    ShadowDecision.objects.exclude(category=None).update(category_name=STORED)
    return {
        "postings": url("jobposting_changelist"),
        "posting": url("jobposting_change", waiting.pk),
        "review": url("decision_review"),
        "decisions": url("decision_changelist"),
        "decision": url("decision_change", decision.pk),
        "audits": url("auditedposting_changelist"),
        "answers": url("auditedposting_changelist") + "?answer=wrong",
        "audit": url("auditedposting_change", audits[0].pk),
        "automation": url("automationstop_changelist"),
        "stop": url("automationstop_change", stop.pk),
        "resume": url("automationstop_resume", stop.pk),
        "stopping": url("automationstop_stop", "automatic") + f"?category={painting.pk}",
        "version": url("classifierversion_change", made.pk),
        "shadow": url("encoder_changes", candidate.pk) + "?of=shadow",
        "exemplars": url("exemplar_changelist"),
    }


@pytest.mark.parametrize(("language", "name"), NAMES)
def test_a_page_shows_the_name_in_the_readers_language(
    admin_client: Client, addresses: dict[str, str], language: str, name: str
) -> None:
    other = next(other for _, other in NAMES if other != name)
    html = {page: read(admin_client, address, language) for page, address in addresses.items()}
    assert [page for page in html if name not in html[page]] == []
    assert [page for page in html if STORED in html[page] or other in html[page]] == []


def test_a_deleted_category_keeps_its_stored_name(
    admin_client: Client, addresses: dict[str, str], catalog: dict[str, Category]
) -> None:
    catalog["maling"].delete()
    for page, address in addresses.items():
        if page in ("exemplars", "review", "postings"):
            continue  # they have no stored name, or nothing to propose any more
        assert STORED in read(admin_client, address, "en"), page


@pytest.mark.parametrize(("language", "name"), NAMES)
@pytest.mark.slow
def test_an_encoders_comparison_and_its_predicted_changes(
    admin_client: Client, worse: Encoder, language: str, name: str
) -> None:
    label = str(Category.objects.get(slug="maling").pk)
    comparison = renamed(worse.comparison, label)
    assert comparison != worse.comparison
    Encoder.objects.filter(pk=worse.pk).update(comparison=comparison)
    for address in (
        url("encoder_change", worse.pk),
        url("encoder_changes", worse.pk) + "?of=rows",
    ):
        html = read(admin_client, address, language)
        assert f">{name}" in html, address
        assert STORED not in html, address


def renamed(value: Any, label: str) -> Any:
    """A stored report with another name for the category of this label."""
    if isinstance(value, list):
        return [renamed(item, label) for item in value]
    if not isinstance(value, dict):
        return value
    report = {key: renamed(item, label) for key, item in value.items()}
    if report.get("label") == label:
        report |= {key: STORED for key in ("name", "label_name") if key in report}
    return report
