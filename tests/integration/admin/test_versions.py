"""Classifier versions in admin: what was compared, and the way back at night."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from marketplace_ai.models import ClassifierVersion, Encoder, EncoderState
from tests.integration.worker_runs import fit

from .factories import messages_of, staff
from .test_lists import queries

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

LIST = "admin:marketplace_ai_classifierversion_changelist"
COMPARED = {
    "version": 7, "failed_checks": ["accuracy_drop", "coverage_drop"], "rows": 200, "left_out": 12,
    "new": {"correct": 150, "automatic": 60, "errors": 3},
    "old": {"correct": 180, "automatic": 120, "errors": 2},
    "gained": 4, "lost": 34, "p_value": 0.0001,
    "automatic_gained": 1, "automatic_lost": 61, "automatic_p_value": 1e-9,
}  # fmt: skip


def page(version: ClassifierVersion, name: str = "change") -> str:
    return reverse(f"admin:marketplace_ai_classifierversion_{name}", args=[version.pk])


@pytest.fixture
def both(exemplars: None) -> tuple[ClassifierVersion, ClassifierVersion]:
    """An older version, and the active one."""
    fit()
    fit()
    older, now = ClassifierVersion.objects.order_by("pk")
    return older, now


def put_in_force(client: Client, version: ClassifierVersion, instead_of: Any) -> Any:
    return client.post(page(version, "activate"), {"instead_of": instead_of}, follow=True)


def in_force() -> ClassifierVersion:
    return ClassifierVersion.objects.get(is_active=True)


def test_back_and_forth_with_a_question_before_and_the_way_back_after(
    admin_client: Client, both: tuple[ClassifierVersion, ClassifierVersion]
) -> None:
    older, now = both
    html = admin_client.get(page(older)).content.decode()
    assert f'href="{page(older, "activate")}"' in html
    asked = admin_client.get(page(older, "activate"))
    assert in_force() == now
    assert f"Activate version {older.pk}?" in asked.content.decode()
    assert f"Version {now.pk} (active)" in asked.content.decode()
    seen = asked.context["form"].initial["instead_of"]
    told = put_in_force(admin_client, older, seen)
    assert in_force() == older
    (message,) = messages_of(told)
    assert message.startswith(f"Version {older.pk} is active")
    assert f'<a href="{page(now, "activate")}">Activate version {now.pk} again</a>' in message
    put_in_force(admin_client, now, older.pk)
    assert in_force() == now
    history = admin_client.get(page(older, "history")).content.decode()
    assert "Activated." in history


def test_what_was_not_seen_is_not_replaced(
    admin_client: Client, both: tuple[ClassifierVersion, ClassifierVersion]
) -> None:
    older, now = both
    told = messages_of(put_in_force(admin_client, older, older.pk))
    assert told == [f"Version {now.pk} was activated meanwhile, so version {older.pk} was not."]
    assert in_force() == now


def test_a_damaged_one_is_explained_and_changes_nothing(
    admin_client: Client, both: tuple[ClassifierVersion, ClassifierVersion]
) -> None:
    older, now = both
    ClassifierVersion.objects.filter(pk=older.pk).update(artifact=b"damaged")
    (told,) = messages_of(put_in_force(admin_client, older, now.pk))
    assert "cannot be loaded; nothing was changed" in told
    assert in_force() == now


@pytest.mark.parametrize("case", ["active", "discarded", "other encoder"])
def test_what_cannot_be_put_in_force_has_no_button(
    admin_client: Client, both: tuple[ClassifierVersion, ClassifierVersion], case: str
) -> None:
    version, now = both
    if case == "active":
        version = now
    elif case == "discarded":
        ClassifierVersion.objects.filter(pk=version.pk).update(artifact=b"", is_discarded=True)
    else:
        Encoder.objects.update(state=EncoderState.READY)
    assert page(version, "activate") not in admin_client.get(page(version)).content.decode()
    for response in (
        admin_client.get(page(version, "activate"), follow=True),
        put_in_force(admin_client, version, now.pk),
    ):
        assert response.redirect_chain[0][0] == page(version)
        assert messages_of(response)[0].startswith(f"Version {version.pk} ")
    assert in_force() == now


def test_who_may_only_look_puts_nothing_in_force(
    client: Client, both: tuple[ClassifierVersion, ClassifierVersion]
) -> None:
    older, now = both
    client.force_login(staff("viewer", "view_classifierversion"))
    html = client.get(page(older)).content.decode()
    assert page(older, "activate") not in html
    assert client.get(page(older, "activate")).status_code == 403
    assert client.post(page(older, "activate"), {"instead_of": now.pk}).status_code == 403
    assert in_force() == now
    client.force_login(staff("operator", "view_classifierversion", "change_classifierversion"))
    assert page(older, "activate") in client.get(page(older)).content.decode()
    put_in_force(client, older, now.pk)
    assert in_force() == older
    # It is the one change there is: the fields stay read-only.
    assert client.post(page(now), {"target_precision": "0.1"}).status_code == 403


def test_a_form_of_another_site_puts_nothing_in_force(
    both: tuple[ClassifierVersion, ClassifierVersion], admin_user: Any
) -> None:
    older, now = both
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    assert client.post(page(older, "activate"), {"instead_of": now.pk}).status_code == 403
    assert in_force() == now


def test_a_version_that_does_not_exist_is_not_found(admin_client: Client, db: Any) -> None:
    for key in ("999999", "x"):
        url = reverse("admin:marketplace_ai_classifierversion_activate", args=[key])
        assert admin_client.get(url).status_code == 404


def test_the_comparison_is_shown_and_what_spoke_against_it(
    admin_client: Client, both: tuple[ClassifierVersion, ClassifierVersion]
) -> None:
    older, _now = both
    ClassifierVersion.objects.filter(pk=older.pk).update(comparison=COMPARED, activated_at=None)
    html = " ".join(admin_client.get(page(older)).content.decode().split())
    for text in (
        "on the same 200 labeled rows", "12 more were left out", "75.0%", "90.0%", "30.0%",
        "60.0%", ">34<", "its first choice is right less often",
        "it decides less without a person",
    ):  # fmt: skip
        assert text in html, text
    listed = admin_client.get(reverse(LIST)).content.decode()
    assert "not activated" in listed
    assert "It was the first one." not in html
    ClassifierVersion.objects.filter(pk=older.pk).update(
        comparison={"version": None, "failed_checks": [], "not_compared": "first_version"}
    )
    assert "It was the first one." in admin_client.get(page(older)).content.decode()


def test_the_pages_cost_few_queries_and_never_read_the_bytes(
    admin_client: Client, both: tuple[ClassifierVersion, ClassifierVersion]
) -> None:
    older, _ = both
    for name in ("change", "activate"):
        admin_client.get(page(older, name))
        count, sql = queries(admin_client, page(older, name))
        # Audits waiting and stops, for the sidebar, and the answers that count, for the basis.
        assert count <= 16, name
        assert "artifact" not in sql
