"""The admin in a real browser: an answer in two clicks, nothing outside the page, any screen."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, Route, expect, sync_playwright

from marketplace_ai.audit import stops
from marketplace_ai.models import (
    Category,
    Decision,
    Encoder,
    Exemplar,
    ExemplarGeneration,
    JobPosting,
    Outcome,
    Refit,
    RefitOutcome,
)
from tests.hostile.addresses import filled, routes
from tests.hostile.test_markup import write_everywhere
from tests.hostile.test_permissions import LOOKED_AT
from tests.integration.admin.factories import HOSTILE, decide, exemplar, pend
from tests.integration.admin.test_encoders import shadow
from tests.integration.audit.factories import audited, version
from tests.integration.command_calls import call, failed
from tests.integration.promotion.factories import (
    candidate,
    in_other_words,
    labeled,
    understands_synonyms,
)
from tests.integration.versions.factories import WORDS, import_exemplars, texts

pytestmark = pytest.mark.django_db(transaction=True)

ARGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
#: What a careful host allows: nothing inline, nothing from elsewhere.
POLICY = "default-src 'self'; img-src 'self' data:"


@pytest.fixture
def world(transactional_db: Any) -> list[Decision]:
    """Two postings that wait, each with matches; one speaks the language of attackers."""
    # A test before this one has emptied all tables, the counter's row with them.
    ExemplarGeneration.objects.get_or_create(pk=1)
    painting = Category.objects.create(slug="maling", name="Maling")
    lawns = Category.objects.create(slug="plen", name="Gressplen")
    matches = (exemplar("Male vegger", painting), exemplar(HOSTILE, lawns))
    jobs = [JobPosting.objects.create(title=t) for t in ("Male stue", HOSTILE)]
    return [
        decide(
            job, painting, matches=matches, choice_keys=["maling", "plen", ""],
            choice_probabilities=[0.8, 0.1, 0.05],
        )
        for job in jobs
    ]  # fmt: skip


@pytest.fixture
def page(world: Any, live_server: Any, admin_user: Any, monkeypatch: Any) -> Iterator[Page]:
    """A signed-in page under the policy; what the browser complains of fails the test."""
    # The browser's driver keeps an event loop in this thread, where Django sees one.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    complaints: list[str] = []
    strangers: list[str] = []

    def with_policy(route: Route) -> None:
        if not route.request.url.startswith(live_server.url):
            strangers.append(route.request.url)
        response = route.fetch(max_redirects=0)
        headers = {**response.headers, "content-security-policy": POLICY}
        route.fulfill(response=response, headers=headers)

    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    assert browser, "these tests need a system Chromium"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=ARGS)
        shown = chromium.new_page(viewport={"width": 1280, "height": 860}, locale="en-US")
        shown.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        shown.on("pageerror", lambda error: complaints.append(str(error)))
        shown.on("dialog", lambda dialog: (complaints.append("a dialog"), dialog.dismiss()))
        shown.route("**/*", with_policy)
        shown.goto(f"{live_server.url}/admin/login/")
        shown.fill("[name=username]", "admin")
        shown.fill("[name=password]", "password")
        shown.click("[type=submit]")
        yield shown
        # The test's own queries ran in parallel with the driver's loop, on their own connection.
        connections.close_all()
        chromium.close()
    assert not complaints
    assert not strangers


def test_a_moderator_goes_through_the_queue(
    page: Page, live_server: Any, world: list[Decision], admin_user: Any
) -> None:
    page.get_by_role("link", name="Review queue (2)").first.click()
    page.get_by_role("link", name="Male stue").click()
    expect(page.locator(".mai-matches")).to_contain_text("Male vegger")
    page.get_by_role("button", name="Confirm: Maling").click()
    # The next one opens by itself.
    expect(page.locator(".mai-text")).to_have_text(HOSTILE)
    page.locator(".select2-selection").first.click()
    page.keyboard.type("gress")
    page.get_by_role("option", name="Gressplen").click()
    page.get_by_role("button", name="Set this category").click()
    expect(page.locator("#content")).to_contain_text("No postings need review")

    answers = Decision.objects.filter(is_current=True).order_by("posting_id")
    assert [(a.outcome, a.category_key) for a in answers] == [
        (Outcome.CONFIRMED, "maling"),
        (Outcome.CORRECTED, "plen"),
    ]
    assert {a.decided_by for a in answers} == {admin_user}
    assert Exemplar.objects.filter(source="reviewed").count() == 2


def test_no_page_runs_what_people_wrote(
    page: Page, live_server: Any, world: list[Decision], settings: Any
) -> None:
    """All pages that there are, with markup wherever a text can be; the fixture sees the rest."""
    settings.MARKETPLACE_AI_AUDIT_SAMPLE_RATE = 1
    made = version(*Category.objects.all())
    audited(made, Category.objects.get(slug="plen"))
    assert stops.stop(made, "automatic", reason=HOSTILE) is not None
    now = timezone.now()
    pend(JobPosting.objects.create(title="Vent litt"), failed_at=now)
    Refit.objects.create(version=made, started_at=now, finished_at=now, outcome=RefitOutcome.FAILED)
    write_everywhere(HOSTILE)
    User.objects.filter(is_superuser=True).update(username="admin")
    looked_at = tuple(f"/{name}/{what}" for name in LOOKED_AT for what in ("add", "<path"))
    wanted = [
        route
        for route in routes()
        if "/marketplace_ai/" in route
        and not route.endswith(("<path:object_id>/", "/answer/"))
        and not (route.endswith(("/add/", "/delete/")) and any(r in route for r in looked_at))
    ]
    for route in wanted:
        page.goto(live_server.url + filled(route))
        assert page.evaluate("document.querySelectorAll('[onerror], img[src=x]').length") == 0


def test_the_form_is_saved_with_nothing_changed(
    page: Page, live_server: Any, world: list[Decision]
) -> None:
    """The hidden copy of the category field must not read as a change."""
    url = reverse("admin:marketplace_ai_jobposting_change", args=[world[0].posting_id])
    page.goto(live_server.url + url)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".messagelist")).to_contain_text("was changed successfully")
    assert Decision.objects.count() == 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_pages_fit_every_screen(
    page: Page, live_server: Any, world: list[Decision], scheme: Any, width: int, settings: Any
) -> None:
    settings.MARKETPLACE_AI_AUDIT_SAMPLE_RATE = 1
    made = version(*Category.objects.all())
    audited(made, Category.objects.get(slug="plen"))
    stop = stops.stop(made, "automatic", reason=HOSTILE)
    assert stop is not None
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 844})
    for path in (
        reverse("admin:marketplace_ai_jobposting_change", args=[world[1].posting_id]),
        reverse("admin:marketplace_ai_decision_review"),
        reverse("admin:marketplace_ai_queuedposting_changelist"),
        reverse("admin:marketplace_ai_auditedposting_changelist"),
        reverse("admin:marketplace_ai_automationstop_changelist"),
        reverse("admin:marketplace_ai_automationstop_resume", args=[stop.pk]),
        reverse("admin:marketplace_ai_decision_change", args=[world[0].pk]),
        reverse("admin:marketplace_ai_category_delete", args=[world[0].category_id]),
    ):
        page.goto(live_server.url + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_the_pages_of_an_encoder_fit_every_screen(
    page: Page, live_server: Any, catalog: Any, tmp_path: Any, monkeypatch: Any
) -> None:
    """One that may be promoted, one that may not, and the active one with its way back."""
    Decision.objects.all().delete()
    Encoder.objects.all().delete()
    understands_synonyms(monkeypatch, 64)
    import_exemplars(catalog, {key: texts(key, 20, 1) for key in WORDS})
    asked = {"calibration": labeled(tmp_path), "target_precision": 0.9}
    call("fit_classifier", **asked)
    first = Encoder.objects.get()
    good = candidate("a-name-that-is-rather-long-for-an-encoder", "dummy:48")
    call("activate_encoder", good.name, **asked)
    call("activate_encoder", first.name, dry_run=True, **asked)
    worse = candidate()
    failed("activate_encoder", "small", **asked | {"calibration": in_other_words(tmp_path)})
    call("fit_classifier", encoder="small", **asked)
    for number in range(3):
        job = JobPosting.objects.create(title=HOSTILE, description=f"Nummer {number}")
        decide(job, catalog["maling"], Outcome.AUTOMATIC)
        shadow(worse, job, catalog["plen"])
    for scheme, width in itertools.product(("light", "dark"), (1280, 390)):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 844})
        for name, encoder in (
            ("change", first), ("change", good), ("change", worse), ("promote", first),
            ("rollback", good), ("changes", worse), ("changes", first),
        ):  # fmt: skip
            path = reverse(f"admin:marketplace_ai_encoder_{name}", args=[encoder.pk])
            for query in ("?of=rows", "?of=shadow") if name == "changes" else ("",):
                page.goto(live_server.url + path + query)
                wide = page.evaluate("document.documentElement.scrollWidth")
                assert wide <= width, (path, width)
    page.goto(live_server.url + reverse("admin:marketplace_ai_encoder_change", args=[good.pk]))
    page.get_by_role("link", name="Roll back").click()
    page.get_by_role("button", name="Roll back").click()
    expect(page.locator(".messagelist")).to_contain_text("The encoder dummy is active again")
    assert Encoder.objects.active() == first
