"""Before a category is deleted, the admin says what hangs on it."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import CASCADE
from django.test import Client
from django.urls import reverse

from marketplace_ai.models import Category, ExemplarSource, JobPosting, Outcome
from marketplace_ai.taxonomy.what_hangs_on import Dependents, what_hangs_on

from .factories import decide, exemplar, messages_of

pytestmark = pytest.mark.django_db

LIST = "admin:marketplace_ai_category_changelist"
SAID = [
    "2 exemplars will not vote any more. They vote again when a category has the same key.",
    "1 posting was tagged automatically and will be decided anew.",
    "1 posting was answered by a person and will be in the review queue again.",
    "1 description, which stands in for exemplars, will be deleted.",
]


@pytest.fixture
def maling(catalog: dict[str, Category]) -> Category:
    category = catalog["maling"]
    for text in ("Male stue", "Male tak"):
        exemplar(text, category)
    exemplar("Male gammelt", category, state="quarantined")
    exemplar("Klippe gress", catalog["plen"])
    description = exemplar("Maling", category)
    type(description).objects.filter(pk=description.pk).update(source=ExemplarSource.DESCRIPTION)
    for outcome in (Outcome.AUTOMATIC, Outcome.CONFIRMED, Outcome.REVIEW):
        decide(JobPosting.objects.create(title=f"Male {outcome}"), category, outcome)
    return category


def delete_page(category: Category) -> str:
    return reverse("admin:marketplace_ai_category_delete", args=[category.pk])


def test_it_is_counted(maling: Category, catalog: Any) -> None:
    assert what_hangs_on([maling]) == Dependents(2, 1, 1, 1)
    assert what_hangs_on(Category.objects.filter(pk=catalog["plen"].pk)) == Dependents(1, 0, 0, 0)
    assert what_hangs_on([]) == Dependents(0, 0, 0, 0)


def test_the_page_of_one_category_says_it(admin_client: Client, maling: Category) -> None:
    assert messages_of(admin_client.get(delete_page(maling))) == SAID


def test_the_page_of_several_says_it(admin_client: Client, maling: Category, catalog: Any) -> None:
    data = {
        "action": "delete_selected",
        ACTION_CHECKBOX_NAME: [maling.pk, catalog["plen"].pk],
    }
    said = messages_of(admin_client.post(reverse(LIST), data))
    assert said == [SAID[0].replace("2", "3", 1), *SAID[1:]]


def test_it_is_not_said_again_when_it_is_done(admin_client: Client, maling: Category) -> None:
    said = messages_of(admin_client.post(delete_page(maling), {"post": "yes"}, follow=True))
    assert len(said) == 1
    assert "deleted successfully" in said[0]


def test_nothing_hangs_on_it(admin_client: Client, catalog: dict[str, Category]) -> None:
    assert messages_of(admin_client.get(delete_page(catalog["plen"]))) == []


def test_children_that_go_with_it_count(
    rf: Any, admin_user: Any, maling: Category, catalog: Any, monkeypatch: Any
) -> None:
    """Where the project's own key to the parent cascades."""
    from marketplace_ai.admin import category_admin

    relation = Category._meta.get_field("parent").remote_field
    monkeypatch.setattr(relation, "on_delete", CASCADE)
    said: list[str] = []
    monkeypatch.setattr(category_admin.messages, "warning", lambda request, text: said.append(text))
    request = rf.get("/")
    request.user = admin_user
    screen: Any = admin.site._registry[Category]
    screen.get_deleted_objects([catalog["bygg"]], request)
    assert said == SAID
