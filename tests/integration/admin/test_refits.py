"""The log of refits in admin."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from marketplace_ai.models import ClassifierVersion, Refit, RefitOutcome

from .factories import HOSTILE, encoder, staff
from .test_lists import queries

pytestmark = pytest.mark.django_db

LIST = "admin:marketplace_ai_refit_changelist"
FIGURES = {
    "labels": 1200, "new_labels": 130, "needed": 107, "audit_suffices": True,
    "drift": {
        "look": 3, "level": 0.0004, "before": 500, "now": 480, "distance": 0.21,
        "scores_p_value": 1e-7, "chi_square": 12.0, "categories_p_value": 1e-8, "is_tested": True,
        "moved": [{"key": "plen", "before": 0.3, "now": 0.02}],
    },
}  # fmt: skip
COMPARISON = {"version": 1, "failed_checks": ["no_threshold"], "not_compared": "unreadable"}


def version() -> ClassifierVersion:
    return ClassifierVersion.objects.create(
        encoder=encoder(), artifact=b"x", target_precision=0.97, confidence_level=0.95,
        calibrated_on="postings", exemplar_generation=1, comparison=COMPARISON,
    )  # fmt: skip


def log(outcome: str, **fields: Any) -> Refit:
    return Refit.objects.create(
        outcome=outcome, triggers=["answers", "scores"], figures=FIGURES, version=version(),
        previous_version=version(), started_at=timezone.now(), **fields,
    )  # fmt: skip


def test_an_empty_list_says_what_fills_it(admin_client: Client) -> None:
    html = admin_client.get(reverse(LIST)).content.decode()
    assert "No refit has run yet." in html and "refit --if-due" in html


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        ("activated", "Version {0} is active instead of {1}."),
        ("proposed", "Version {0} was not worse and is proposed."),
        ("refused", "Version {0} was refused: it would decide nothing without a person"),
        ("failed", "Boom"),
        ("interrupted", "Boom"),
        ("running", "Its process ended before the fit did."),
        ("undone", "Version {0} is active again instead of {1}."),
    ],
)
def test_each_outcome_is_a_sentence(admin_client: Client, outcome: str, words: str) -> None:
    row = log(outcome, error="boom")
    page = reverse("admin:marketplace_ai_refit_change", args=[row.pk])
    for url in (reverse(LIST), page):
        html = admin_client.get(url).content.decode()
        assert words.format(row.version_id, row.previous_version_id) in html
        assert "new labels, scores have drifted" in html
        assert f"/classifierversion/{row.version_id}/change/" in html
    assert "130 new labels of 107 needed" in html
    assert "plen 30.0% → 2.0%" in html


def test_every_outcome_has_a_tone() -> None:
    from marketplace_ai.admin.refits import TONES

    assert set(TONES) == {*RefitOutcome}


def test_it_is_norwegian_too(admin_client: Client) -> None:
    log("activated")
    html = admin_client.get(reverse(LIST), headers={"accept-language": "nb"}).content.decode()
    assert "nye merkelapper, sannsynlighetene har endret seg" in html


def test_nothing_can_be_changed_and_an_error_is_text(client: Client) -> None:
    row = log("failed", error=HOSTILE)
    client.force_login(staff("viewer", "view_refit", "change_refit", "delete_refit"))
    page = reverse("admin:marketplace_ai_refit_change", args=[row.pk])
    html = client.get(page).content.decode()
    assert "<script>alert" not in html and "alert(1)" in html
    assert client.post(page, {"outcome": "activated"}).status_code == 403
    assert client.post(page.replace("change", "delete"), {"post": "yes"}).status_code == 403


def test_a_list_costs_as_many_queries_for_60_rows_as_for_10(admin_client: Client) -> None:
    for _ in range(10):
        log("refused")
    url = reverse(LIST)
    admin_client.get(url)
    few, _sql = queries(admin_client, url)
    for _ in range(50):
        log("activated")
    many, sql = queries(admin_client, url)
    assert many == few
    assert "artifact" not in sql


def test_what_a_refit_lacks_is_a_dash_on_its_page(admin_client: Client) -> None:
    row = Refit.objects.create(outcome="failed", error="Boom", started_at=timezone.now())
    url = reverse("admin:marketplace_ai_refit_change", args=[row.pk])
    fields = admin_client.get(url).content.decode().partition("<fieldset")[2]
    assert ">None<" not in fields
    assert fields.count("—") >= 4
