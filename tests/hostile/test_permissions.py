"""Who may see and do what: every address, every kind of person, every method."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection, transaction
from django.test import Client

from marketplace_ai.models import (
    Category,
    ClassifierVersion,
    Decision,
    Encoder,
    Exemplar,
    QueuedPosting,
)
from tests.hostile.addresses import filled, routes

pytestmark = pytest.mark.django_db

OURS = "marketplace_ai"
#: What tells that nothing was changed: rows written in this transaction, sessions left out.
WRITTEN = """
SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)
FROM pg_stat_xact_user_tables WHERE relname <> 'django_session'
"""

Data = Callable[[], dict[str, Any]]


@dataclass(frozen=True)
class Act:
    """What a POST does, and the one right without which it does nothing."""

    right: str
    data: Data


@dataclass(frozen=True)
class Rule:
    """``see``: the rights that show the address (None: nobody sees it; empty: all staff do).

    ``seen`` is the answer's status then, ``head`` that to HEAD where it is another one.
    """

    see: tuple[str, ...] | None
    acts: tuple[Act, ...] = ()
    seen: int = 200
    head: int | None = None
    query: str = ""


def action(name: str, rows: Callable[[], Any]) -> Data:
    return lambda: {
        "action": name,
        "_selected_action": [row.pk for row in rows()],
        "post": "yes",
    }


def waiting() -> Any:
    return Decision.objects.in_review()[:1]


def some(model: Any) -> Callable[[], Any]:
    return lambda: model._base_manager.order_by("-pk")[:1]


def texts(**fields: Any) -> Data:
    return lambda: {
        name: str(value()) if callable(value) else value for name, value in fields.items()
    }


def category() -> int:
    return Category.objects.order_by("pk")[1].pk


YES: Data = lambda: {"post": "yes"}  # noqa: E731
#: What can be added, changed and deleted in admin; of all other models rows are only looked at.
EDITABLE: dict[str, dict[str, Data]] = {
    "category": {
        "add": texts(slug="ny", name="Ny", name_en="", scope="", parent=""),
        "change": texts(slug="ny", name="Ny", name_en="", scope="", parent=""),
    },
    "exemplar": {
        "add": texts(text="Male gjerde", category=category, state="active"),
        "change": texts(category=category, state="quarantined"),
    },
    "jobposting": {
        "add": texts(title="Male", description="", category=""),
        "change": texts(title="Male", description="", category="", **{"initial-category": ""}),
    },
}
LOOKED_AT = (
    "auditedposting", "automationstop", "classifierversion", "decision", "encoder", "queuedposting",
    "refit",
)  # fmt: skip
#: What a list's actions, and addresses of our own, do besides Django's usual ones.
ACTIONS: dict[str, tuple[Act, ...]] = {
    "exemplar": (Act("change_exemplar", action("quarantine", lambda: Exemplar.objects.all()[:2])),),
    "jobposting": (
        Act(
            "change_jobposting",
            lambda: {
                "action": "answer_none",
                "_selected_action": [row.posting_id for row in waiting()],
            },
        ),
    ),
    "queuedposting": (Act("change_queuedposting", action("retry", QueuedPosting.objects.failed)),),
}
IN_FORCE: Data = lambda: {  # noqa: E731
    "instead_of": ClassifierVersion.objects.get(is_active=True, encoder__state="active").pk
}


def seen(what: str) -> dict[str, Any]:
    """The hidden fields of the page that asks whether to ``promote`` or to go back."""
    ready = Encoder.objects.get(state="ready")
    decides = ClassifierVersion.objects.get(is_active=True, encoder=ready).pk
    return {
        "instead_of": Encoder.objects.get(state="active").pk,
        "version": ready.comparison["version"] if what == "promote" else decides,
        "before": decides,
    }


REASON: Data = lambda: {"reason": "Prøve"}  # noqa: E731
OWN: dict[str, Rule] = {
    "automationstop/<int:pk>/resume/": Rule(
        ("change_automationstop",), (Act("change_automationstop", REASON),)
    ),
    "automationstop/stop/<str:rule>/": Rule(
        ("change_automationstop",), (Act("change_automationstop", REASON),)
    ),
    "classifierversion/<path:object_id>/activate/": Rule(
        ("view_classifierversion", "change_classifierversion"),
        (Act("change_classifierversion", IN_FORCE),),
    ),
    "decision/review/": Rule(
        ("view_decision",), (Act("change_jobposting", action("confirm_proposed", waiting)),)
    ),
    "encoder/<path:object_id>/changes/": Rule(("view_encoder", "view_decision")),
    **{
        f"encoder/<path:object_id>/{what}/": Rule(
            ("view_encoder", "change_encoder"), (Act("change_encoder", partial(seen, what)),)
        )
        for what in ("promote", "rollback")
    },
    # Looking at it is refused before anything is asked: it is for forms alone.
    "jobposting/<path:object_id>/answer/": Rule(
        (), (Act("change_jobposting", lambda: {"answer": "none"}),), seen=405
    ),
}


def matrix() -> Iterator[tuple[str, Rule]]:
    """Each address of the project once."""
    for name in (*EDITABLE, *LOOKED_AT):
        base, edit = f"admin/{OURS}/{name}", EDITABLE.get(name, {})
        view, delete = (f"view_{name}",), f"delete_{name}"
        acts = ACTIONS.get(name, ())
        if edit:
            acts += (Act(delete, action("delete_selected", some(_model(name)))),)
        add, change = (
            (Act(f"{what}_{name}", edit[what]),) if edit else () for what in ("add", "change")
        )
        yield f"{base}/", Rule(view, acts)
        yield f"{base}/add/", Rule((f"add_{name}",) if edit else None, add)
        yield f"{base}/<path:object_id>/history/", Rule(view)
        yield (
            f"{base}/<path:object_id>/delete/",
            Rule((delete,) if edit else None, (Act(delete, YES),) if edit else ()),
        )
        yield f"{base}/<path:object_id>/change/", Rule(view, change)
        yield f"{base}/<path:object_id>/", Rule((), seen=302)
    for route, rule in OWN.items():
        yield f"admin/{OURS}/{route}", rule
    yield from DJANGOS.items()


def _model(name: str) -> Any:
    from django.apps import apps

    return apps.get_model(OURS, name)


def _auth(name: str) -> Iterator[tuple[str, Rule]]:
    base = f"admin/auth/{name}"
    add = ("auth.add_user", "auth.change_user") if name == "user" else (f"auth.add_{name}",)
    yield f"{base}/", Rule((f"auth.view_{name}",))
    yield f"{base}/add/", Rule(add)
    yield f"{base}/<path:object_id>/history/", Rule((f"auth.view_{name}",))
    yield f"{base}/<path:object_id>/delete/", Rule((f"auth.delete_{name}",))
    yield f"{base}/<path:object_id>/change/", Rule((f"auth.view_{name}",))
    yield f"{base}/<path:object_id>/", Rule((), seen=302)


#: Django's own: only that they keep out whom they should.
DJANGOS: dict[str, Rule] = {
    **dict(_auth("group")),
    **dict(_auth("user")),
    "admin/auth/user/<id>/password/": Rule(("auth.change_user",)),
    "": Rule((), seen=302),
    "admin/": Rule(()),
    "admin/login/": Rule((), seen=302, head=200),
    "admin/logout/": Rule((), seen=405),
    "admin/password_change/": Rule(()),
    "admin/password_change/done/": Rule(()),
    "admin/autocomplete/": Rule(
        ("view_category",),
        query="?app_label=marketplace_ai&model_name=jobposting&field_name=category",
    ),
    "admin/jsi18n/": Rule(()),
    # No model of ours has an address of its own outside admin.
    "admin/r/<path:content_type_id>/<path:object_id>/": Rule((), seen=404),
    "admin/^(?P<app_label>auth|marketplace_ai)/$": Rule(("view_jobposting",)),
    "admin/(?P<url>.*)$": Rule((), seen=404),
}
#: Where somebody who is not signed in gets something else than the sign-in page.
OPEN = {"admin/login/": 200}


@dataclass
class People:
    """Who asks, each with a browser of their own."""

    users: dict[str, User | None] = field(default_factory=dict)
    browsers: dict[tuple[str, bool], Client] = field(default_factory=dict)

    def add(self, name: str, rights: Any = (), **fields: Any) -> None:
        self.users[name] = User.objects.create_user(name, is_staff=True, **fields)
        self.grant(name, rights)

    def grant(self, name: str, rights: Any) -> None:
        user = self.users[name]
        assert user is not None
        user.user_permissions.set(rights)

    def browser(self, name: str, *, strict: bool = False) -> Client:
        """Signed in; ``strict``: without the leniency about CSRF that tests have."""
        if (name, strict) not in self.browsers:
            client = self.browsers[name, strict] = Client(enforce_csrf_checks=strict)
            user = self.users[name]
            if user is not None:
                client.force_login(user)
        return self.browsers[name, strict]


def permission(name: str) -> Permission:
    label, _, codename = name.rpartition(".")
    return Permission.objects.get(content_type__app_label=label or OURS, codename=codename)


def written() -> int:
    with connection.cursor() as cursor:
        cursor.execute(WRITTEN)
        return int(cursor.fetchone()[0])


def unchanged(client: Client, method: str, url: str, data: Any = None) -> int:
    """The answer's status; the request has written nothing."""
    before = written()
    status = int(getattr(client, method)(url, data or {}).status_code)
    assert written() == before, f"{method} {url} has written something"
    return status


@pytest.fixture
def people(full: None) -> People:
    people = People({"anonymous": None})
    people.add("inactive", is_active=False, is_superuser=True)
    people.add("no rights")
    people.add("viewer", Permission.objects.filter(codename__startswith="view_"))
    people.add("one right")
    people.add("all but one")
    return people


def test_every_address_has_its_rule() -> None:
    """A new address is declared above, with who may see it and what it does."""
    assert sorted(routes()) == sorted(route for route, _ in matrix())


def test_who_sees_what_and_nothing_is_changed_by_looking(people: People) -> None:
    everything = set(Permission.objects.filter(codename__startswith="view_"))
    for route, rule in matrix():
        url = filled(route)
        wanted = {permission(name) for name in rule.see or ()}
        people.grant("one right", wanted)
        expected = {name: OPEN.get(route, 302) for name in ("anonymous", "inactive")}
        expected["no rights"] = rule.seen if rule.see == () else 403
        expected["viewer"] = rule.seen if rule.see is not None and wanted <= everything else 403
        expected["one right"] = rule.seen if rule.see is not None else 403
        if route == "admin/^(?P<app_label>auth|marketplace_ai)/$":
            expected["no rights"] = 404  # Django shows no application in which nothing is seen
        for name, status in expected.items():
            client = people.browser(name)
            assert unchanged(client, "get", url + rule.query) == status, (route, name)
            if status == rule.seen:
                status = rule.head or status
            assert unchanged(client, "head", url + rule.query) == status, (route, name)


def test_a_form_without_its_token_is_refused_whoever_sends_it(people: People) -> None:
    for route, rule in matrix():
        url = filled(route)
        for name in ("anonymous", "no rights", "one right"):
            if name == "one right":
                people.grant(name, {permission(right) for right in rule.see or ()})
            client = people.browser(name, strict=True)
            data = rule.acts[0].data() if rule.acts else None
            assert unchanged(client, "post", url, data) == 403, (route, name)


def test_a_form_does_something_for_those_with_the_right_alone(people: People) -> None:
    views = set(Permission.objects.filter(codename__startswith="view_"))
    ours = set(Permission.objects.filter(content_type__app_label=OURS))
    for route, rule in matrix():
        for act in rule.acts:
            url, data, right = filled(route), act.data(), permission(act.right)
            people.grant("one right", {*views, right})
            people.grant("all but one", ours - {right})
            for name in ("anonymous", "inactive", "no rights", "viewer", "all but one"):
                unchanged(people.browser(name), "post", url, data)
            client = people.browser("one right")
            with transaction.atomic():
                before = written()
                response = client.post(url, data)
                assert written() > before, (route, act.right, response.status_code)
                transaction.set_rollback(True)
    for route, rule in matrix():
        if not rule.acts and route.startswith(f"admin/{OURS}/"):
            people.grant("one right", ours)
            unchanged(people.browser("one right"), "post", filled(route), {"post": "yes"})
