"""The exemplars' screen: labels may change, texts never, and nothing ends in an error page."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from marketplace_ai.adapter import JobAdapter
from marketplace_ai.models import (
    Category,
    ClassifierVersion,
    Exemplar,
    ExemplarSource,
    ExemplarState,
    JobPosting,
)
from marketplace_ai.text.normalize import digest

from .factories import encoder, exemplar, messages_of, staff

pytestmark = pytest.mark.django_db

ADD = "admin:marketplace_ai_exemplar_add"
LIST = "admin:marketplace_ai_exemplar_changelist"


def page(row: Exemplar) -> str:
    return reverse("admin:marketplace_ai_exemplar_change", args=[row.pk])


def errors(response: Any) -> str:
    assert response.status_code == 200
    return str(response.context["errors"])


def test_an_exemplar_is_added_as_it_will_be_compared(
    admin_client: Client, admin_user: Any, catalog: dict[str, Category]
) -> None:
    data = {"text": "  Male\tstue \x07 ", "category": catalog["maling"].pk, "state": "active"}
    assert admin_client.post(reverse(ADD), data).status_code == 302
    row = Exemplar.objects.get()
    assert row.text == "Male stue"
    assert bytes(row.text_digest) == digest("Male stue")
    assert (row.category_key, row.source) == ("maling", ExemplarSource.IMPORTED)
    assert row.created_by == admin_user


def test_an_exemplar_is_cleaned_as_postings_are(
    admin_client: Client, catalog: dict[str, Category], monkeypatch: Any
) -> None:
    monkeypatch.setattr(JobAdapter, "clean", lambda self, text: text.replace("12345678", ""))
    data = {"text": "Male stue 12345678", "category": catalog["maling"].pk, "state": "active"}
    assert admin_client.post(reverse(ADD), data).status_code == 302
    assert Exemplar.objects.get().text == "Male stue"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"is_none": "on"}, "not both"),
        ({"category": ""}, "needs a category"),
        ({"text": "..."}, "at least one letter"),
        ({"text": ""}, "required"),
        ({"text": "Male stue"}, "An exemplar with this text"),
    ],
)
def test_what_cannot_be_an_exemplar_is_explained(
    admin_client: Client, catalog: dict[str, Category], data: dict[str, str], message: str
) -> None:
    exemplar("Male stue", catalog["maling"])
    whole = {"text": "Male vegg", "category": catalog["maling"].pk, "state": "active", **data}
    assert message in errors(admin_client.post(reverse(ADD), whole))
    assert Exemplar.objects.count() == 1


def test_a_label_changes_and_the_text_does_not(
    admin_client: Client, catalog: dict[str, Category]
) -> None:
    row = exemplar("Male stue", catalog["maling"])
    data = {"text": "Noe annet", "category": catalog["plen"].pk, "state": "active"}
    assert admin_client.post(page(row), data).status_code == 302
    row.refresh_from_db()
    assert (row.text, row.category_key) == ("Male stue", "plen")
    admin_client.post(page(row), {"category": "", "is_none": "on", "state": "active"})
    row.refresh_from_db()
    assert (row.is_none, row.category_key) == (True, "")


def test_a_label_that_its_twin_has_is_refused(
    admin_client: Client, catalog: dict[str, Category]
) -> None:
    exemplar("Male stue", catalog["plen"])
    row = exemplar("Male stue", catalog["maling"])
    data = {"category": catalog["plen"].pk, "state": "active"}
    assert "already exists" in errors(admin_client.post(page(row), data))


def test_an_exemplar_leads_to_the_posting_it_was_made_of(
    admin_client: Client, catalog: dict[str, Category], posting: JobPosting
) -> None:
    row = exemplar("Male stue", catalog["maling"], posting=posting)
    url = reverse("admin:marketplace_ai_jobposting_change", args=[posting.pk])
    assert f'href="{url}"' in admin_client.get(page(row)).content.decode()


def test_quarantine_and_back(admin_client: Client, catalog: dict[str, Category]) -> None:
    good, homeless = exemplar("Male", catalog["maling"]), exemplar("Klippe", catalog["plen"])

    def act(action: str) -> list[str]:
        data = {"action": action, "_selected_action": [good.pk, homeless.pk]}
        return messages_of(admin_client.post(reverse(LIST), data, follow=True))

    assert act("quarantine") == ["2 exemplars no longer vote."]
    assert not Exemplar.objects.filter(state=ExemplarState.ACTIVE).exists()
    catalog["plen"].delete()
    told = act("restore")
    assert told[0] == "1 exemplar votes again."
    assert "its category was deleted" in told[1]
    assert Exemplar.objects.get(state=ExemplarState.ACTIVE) == good
    assert b"plen (deleted)" in admin_client.get(reverse(LIST)).content


def test_those_that_do_not_vote_are_shown_found_and_let_vote_again(
    admin_client: Client, catalog: dict[str, Category]
) -> None:
    version = ClassifierVersion.objects.create(
        encoder=encoder(), artifact=b"", target_precision=0.97, confidence_level=0.95,
        calibrated_on="exemplars", exemplar_generation=0,
    )  # fmt: skip
    votes = exemplar("Male stue", catalog["maling"])
    teaches = exemplar("Male gang", catalog["maling"], condensed_by=version)

    def shown(**filters: str) -> str:
        return admin_client.get(reverse(LIST), filters).content.decode()

    assert shown().count("teaches, does not vote</span>") == 1
    assert ("Male stue" in shown(vote="votes"), "Male gang" in shown(vote="votes")) == (True, False)
    assert "Male stue" not in shown(vote="teaches")
    assert "Male gang" in shown(vote="teaches")
    assert "Condensed by version" in admin_client.get(page(teaches)).content.decode()
    data = {"action": "restore", "_selected_action": [votes.pk, teaches.pk]}
    told = messages_of(admin_client.post(reverse(LIST), data, follow=True))
    assert told == ["1 exemplar votes again."]
    teaches.refresh_from_db()
    assert not teaches.is_condensed


def test_one_of_a_deleted_category_votes_again_with_another(
    admin_client: Client, catalog: dict[str, Category]
) -> None:
    row, other = exemplar("Male", catalog["maling"]), exemplar("Klippe", catalog["plen"])
    assert b"category deleted" not in admin_client.get(page(other)).content
    catalog["maling"].delete()
    assert b"category deleted" in admin_client.get(page(row)).content
    data = {"action": "restore", "_selected_action": [row.pk]}
    told = messages_of(admin_client.post(reverse(LIST), data, follow=True))
    assert "1 exemplar still does not vote: its category was deleted." in told[1]
    data = {"category": catalog["plen"].pk, "state": "orphaned"}
    assert admin_client.post(page(row), data).status_code == 302
    row.refresh_from_db()
    assert (row.category, row.category_key, row.state) == (catalog["plen"], "plen", "active")


def test_who_may_only_look_cannot_act(client: Client, catalog: dict[str, Category]) -> None:
    row = exemplar("Male", catalog["maling"])
    client.force_login(staff("viewer", "view_exemplar"))
    html = client.get(reverse(LIST)).content.decode()
    assert "Male" in html and "quarantine" not in html.split("changelist-filter")[0]
    client.post(reverse(LIST), {"action": "quarantine", "_selected_action": [row.pk]})
    row.refresh_from_db()
    assert row.state == ExemplarState.ACTIVE
    assert client.post(page(row), {"state": "quarantined"}).status_code == 403


def test_categories_are_chosen_by_typing_where_the_user_may_see_them(
    client: Client, catalog: dict[str, Category]
) -> None:
    client.force_login(staff("a", "add_exemplar", "view_exemplar", "view_category"))
    assert b"admin-autocomplete" in client.get(reverse(ADD)).content
    client.force_login(staff("b", "add_exemplar", "view_exemplar"))
    html = client.get(reverse(ADD)).content
    assert b"admin-autocomplete" not in html
    assert b"Painting" in html


def test_a_description_may_be_silenced_but_neither_relabelled_nor_deleted(
    admin_client: Client, catalog: dict[str, Category]
) -> None:
    row = exemplar("Maling / Painting", catalog["maling"])
    Exemplar.objects.filter(pk=row.pk).update(source=ExemplarSource.DESCRIPTION)
    other = exemplar("Male stue", catalog["maling"])
    shown = admin_client.get(reverse(LIST), {"source__exact": "description"})
    assert [found.pk for found in shown.context["cl"].result_list] == [row.pk]
    assert "category description" in shown.content.decode()
    data = {"category": catalog["plen"].pk, "is_none": "on", "state": "quarantined"}
    assert admin_client.post(page(row), data).status_code == 302
    row.refresh_from_db()
    assert (row.category, row.is_none, row.state) == (catalog["maling"], False, "quarantined")
    assert admin_client.post(page(row), {"state": "active"}).status_code == 302
    row.refresh_from_db()
    assert (row.category_key, row.state) == ("maling", "active")
    delete = "admin:marketplace_ai_exemplar_delete"
    assert admin_client.get(reverse(delete, args=[row.pk])).status_code == 403
    assert admin_client.get(reverse(delete, args=[other.pk])).status_code == 200


def test_a_text_that_votes_for_another_category_too_is_told(
    admin_client: Client, catalog: dict[str, Category]
) -> None:
    exemplar("Male stue", catalog["maling"])
    data = {"text": "Male stue", "category": catalog["plen"].pk, "state": "active"}
    response = admin_client.post(reverse(ADD), data, follow=True)
    [warning, _] = messages_of(response)
    assert warning.startswith("The same text is also an exemplar of Painting: each votes")
    data = {"text": "Male stue", "is_none": "on", "state": "quarantined"}
    assert len(messages_of(admin_client.post(reverse(ADD), data, follow=True))) == 1
