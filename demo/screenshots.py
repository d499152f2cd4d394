"""Pictures of the running demo for the documentation, taken with the system's own Chromium."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from django.urls import reverse
from playwright.sync_api import Page, sync_playwright

from marketplace_ai.models import Decision, Outcome

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
#: A container has no sandbox for the browser; it opens nothing but the demo.
OPTIONS = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
]  # fmt: skip
WIDTH, HEIGHT = 1280, 860
START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Picture:
    """A file of the documentation and the page that it shows."""

    name: str
    path: str


def browser() -> str:
    """The system's Chromium; OSError says what is missing."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        raise OSError("The pictures need a system Chromium: apt-get install chromium")
    return found


def pictures() -> list[Picture]:
    """What is shown; LookupError where the demo has not run yet."""
    shown = Decision.objects.filter(
        is_current=True, outcome=Outcome.REVIEW, category__isnull=False, match_exemplars__len__gte=5
    )
    decision = shown.order_by("-probability").first()
    if decision is None:
        raise LookupError("There is no posting to show: run the demo first (make demo ONCE=1).")
    posting = reverse("admin:marketplace_ai_jobposting_change", args=[decision.posting_id])
    postings = reverse("admin:marketplace_ai_jobposting_changelist")
    return [
        # A search that finds some of each outcome; the last ones added all fit nothing.
        Picture("postings.png", f"{postings}?q=vask"),
        Picture("posting.png", posting),
        Picture("review.png", reverse("admin:marketplace_ai_decision_review")),
    ]


@contextmanager
def signed_in(address: str, login: str, password: str) -> Iterator[Page]:
    """A page of a browser that has logged in to the admin."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser(), args=OPTIONS)
        try:
            page = chromium.new_page(
                viewport={"width": WIDTH, "height": HEIGHT}, locale="en-US", color_scheme="light"
            )
            page.goto(f"{address}/admin/login/")
            page.fill("[name=username]", login)
            page.fill("[name=password]", password)
            page.click("[type=submit]")
            page.wait_for_url(f"{address}/admin/")
            yield page
        finally:
            chromium.close()


def take(page: Page, address: str, shown: list[Picture], folder: Path) -> Iterator[Path]:
    """Write the pictures, each as wide as the window and one window high."""
    folder.mkdir(parents=True, exist_ok=True)
    for picture in shown:
        page.goto(address + picture.path)
        file = folder / picture.name
        page.screenshot(path=file)
        yield file


def wait_for(address: str) -> None:
    """Until the web server answers; TimeoutError when it does not."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with urlopen(f"{address}/admin/login/"):  # noqa: S310 (an http address of our own)
                return
        except URLError:
            if time.monotonic() > deadline:
                raise TimeoutError("The web server did not start.") from None
            time.sleep(0.1)
