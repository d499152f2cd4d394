"""Nothing that anybody wrote becomes markup: the parsed pages are those of harmless words.

Every text of every row is first made harmless, then wicked, by the database itself; both times
each page of admin has the same elements with the same attributes, in the same order.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote

import pytest
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.contrib.postgres.fields import ArrayField
from django.db import models, transaction
from django.test import Client

from tests.faults.scale import scaled
from tests.hostile.addresses import filled, routes

pytestmark = pytest.mark.django_db

#: The first one ends an attribute as well as a text.
WICKED = [
    '"><img src=x onerror=alert(1)>',
    "<script>alert(1)</script>",
    "</script><svg onload=alert(1)>",
    "' onmouseover='alert(1)",
    "javascript:alert(1)//",
    "]]>--></title></textarea><b>",
    "{{ 7|add:7 }}{% now 'Y' %}",
]
#: Words in JSON that programs read, by the name that they stand under.
CODES = {
    "label", "failed_checks", "not_compared", "outcome", "compared_at", "calibrated_on",
    "guarantee_new", "guarantee_old",
}  # fmt: skip
#: What is compared where the text stands in an address.
IN_QUERIES = (
    "q",
    "outcome",
    "state__exact",
    "_changelist_filters",
    "_review",
    "_popup",
    "category",
)
ADDRESSES = {"href", "src", "action", "formaction", "data", "xlink:href"}


def harmless(text: str) -> str:
    """A word as long, broken in the same places, and no name that programs take either."""
    return re.sub(r"\S", "æ", text)


class Structure(HTMLParser):
    """The elements of a page with the names of their attributes, and where they lead."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, ...]] = []
        self.dangerous: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, *sorted(name for name, _ in attrs)))
        for name, value in attrs:
            scheme = "".join((value or "").split()).lower()
            if name.startswith("on") or (
                name in ADDRESSES and scheme.startswith(("javascript:", "data:", "vbscript:"))
            ):
                self.dangerous.append(f"{tag} {name}={value}")

    def handle_endtag(self, tag: str) -> None:
        self.elements.append((f"/{tag}",))

    def handle_comment(self, data: str) -> None:
        self.elements.append(("!--",))


def write_everywhere(text: str) -> None:
    """Put the text where a text can be, in all rows of the app and in the names of people."""
    for model in (*apps.get_app_config("marketplace_ai").get_models(), User, Group, LogEntry):
        for row in model._base_manager.all():
            changed = dict(_texts(row, text))
            if changed:
                model._base_manager.filter(pk=row.pk).update(**changed)


def _texts(row: models.Model, text: str) -> Iterator[tuple[str, Any]]:
    once = {
        name
        for constraint in row._meta.constraints
        if isinstance(constraint, models.UniqueConstraint)
        for name in constraint.fields
    }
    for field in row._meta.concrete_fields:
        value = getattr(row, field.attname)
        if isinstance(field, ArrayField) and isinstance(
            field.base_field, models.CharField | models.TextField
        ):
            yield field.name, [text for _ in value or ()]
        elif isinstance(field, models.JSONField):
            yield field.name, _in_json(value, text)
        elif isinstance(field, models.CharField | models.TextField) and not field.choices:
            if field.name in ("password", "change_message"):
                continue
            if field.name in once and not value:
                continue  # empty has a meaning of its own there
            whole = f"{text}{row.pk}" if field.unique or field.name in once else text
            yield field.name, whole[: field.max_length]


def _in_json(value: Any, text: str) -> Any:
    if isinstance(value, dict):
        return {k: v if k in CODES else _in_json(v, text) for k, v in value.items()}
    if isinstance(value, list):
        return [_in_json(item, text) for item in value]
    return text if isinstance(value, str) else value


@pytest.fixture
def pages(full: None, admin_client: Client) -> list[str]:
    """Every address that shows something to a superuser."""
    found = [filled(route) for route in routes() if "logout" not in route and route]
    return [url for url in found if admin_client.get(url).status_code == 200]


def parsed(client: Client, pages: list[str], text: str) -> dict[str, list[tuple[str, ...]]]:
    found = {}
    for page in pages:
        queries = [""]
        if page.count("/") == 4 and text in (WICKED[0], harmless(WICKED[0])):  # the lists
            queries += [f"?{name}={quote(text)}" for name in IN_QUERIES]
        for query in queries:
            response = client.get(page + query, follow=True)
            assert response.status_code in (200, 404), page + query
            if response["Content-Type"].startswith("application/json"):
                json.loads(response.content)
                continue
            if not response["Content-Type"].startswith("text/html"):
                continue
            structure = Structure(response.content.decode())
            assert structure.dangerous == [], page + query
            found[f"{page} {query.partition('=')[0]}"] = structure.elements
    return found


def test_no_page_has_an_element_or_handler_that_somebody_wrote(
    admin_client: Client, pages: list[str], rng: random.Random
) -> None:
    assert len(pages) > 50
    for text in [WICKED[0], *rng.sample(WICKED[1:], scaled(1, len(WICKED) - 1))]:
        write_everywhere(harmless(text))
        expected = parsed(admin_client, pages, harmless(text))
        write_everywhere(text)
        found = parsed(admin_client, pages, text)
        for page, elements in expected.items():
            assert found[page] == elements, (page, text)
        for page in pages:
            if "/marketplace_ai/" in page and page.endswith("/change/"):
                assert _shown(admin_client, page, text), page  # it is there, as words


def _shown(client: Client, page: str, text: str) -> bool:
    words: list[str] = []
    parser = HTMLParser()
    parser.handle_data = words.append  # type: ignore[method-assign]
    parser.feed(client.get(page).content.decode())
    return text in "".join(words)


def said(client: Client, text: str, act: Callable[[str], Any]) -> list[tuple[str, ...]]:
    """The structure of the page that a form leads to; what it did is undone."""
    with transaction.atomic():
        write_everywhere(text)
        structure = Structure(act(text).content.decode())
        transaction.set_rollback(True)
    assert structure.dangerous == []
    return structure.elements


@pytest.mark.parametrize("text", WICKED)
def test_no_message_and_no_error_has_one(admin_client: Client, full: None, text: str) -> None:
    def post(route: str, **data: Any) -> Callable[[str], Any]:
        url = filled(f"admin/marketplace_ai/{route}")
        return lambda text: admin_client.post(
            url, {name: value or text for name, value in data.items()}, follow=True
        )

    def get(path: str) -> Callable[[str], Any]:
        return lambda text: admin_client.get(
            "/admin/" + path.format(quote(text, safe="")), follow=True
        )

    # (A category that is no number is Django's own error, in its widget.)
    for act in (
        post("automationstop/<int:pk>/resume/", reason=None),
        post("automationstop/stop/<str:rule>/", reason=None),
        post("category/<path:object_id>/delete/", post="yes"),
        post("category/add/", slug="ny", name=None, name_en=None, scope=None),
        post("category/add/", slug=None, name=None, parent="999999999"),
        post("exemplar/add/", text=None, category="999999999", state=None),
        post("exemplar/<path:object_id>/change/", category="999999999", state=None),
        post("jobposting/add/", title=None, description=None, category="999999999"),
        post("jobposting/<path:object_id>/change/", title=None, description=None),
        post("jobposting/<path:object_id>/delete/", post="yes"),
        post("jobposting/<path:object_id>/answer/", answer=None, seen=None, choice=None),
        post("classifierversion/<path:object_id>/activate/", instead_of=None),
        post("queuedposting/", action=None, _selected_action=None),
        get("marketplace_ai/category/{}/change/"),
        get("{}/"),
    ):  # fmt: skip
        assert said(admin_client, text, act) == said(admin_client, harmless(text), act)
