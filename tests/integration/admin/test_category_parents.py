"""The shipped categories' screen."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from marketplace_ai.models import Category

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("parent", ["bygg", "maling"])
def test_a_category_never_becomes_its_own_ancestor(
    admin_client: Client, catalog: dict[str, Category], parent: str
) -> None:
    page = reverse("admin:marketplace_ai_category_change", args=[catalog["bygg"].pk])
    data = {"slug": "bygg", "name": "Bygg", "parent": catalog[parent].pk}
    response = admin_client.post(page, data)
    assert response.status_code == 200
    assert "Choose another parent" in str(response.context["errors"])
    assert Category.objects.get(slug="bygg").parent is None
    data["parent"] = catalog["hage"].pk
    assert admin_client.post(page, data).status_code == 302
