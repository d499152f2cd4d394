"""The page of ``assess`` in a real browser: it fits any width and scheme, and loads nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.integration.assessment.files import ATTACK, csv_file
from tests.integration.command_calls import call

pytestmark = pytest.mark.slow

ARGS = ["--no-sandbox", "--disable-dev-shm-usage"]


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("assessment")
    (folder / "postings.csv").write_text(csv_file(), encoding="utf-8")
    call("assess", str(folder / "postings.csv"), html=str(folder / "page.html"), per_month=900)
    return folder / "page.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    assert found, "these tests need a system Chromium"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=ARGS)
        yield chromium
        chromium.close()


@pytest.mark.parametrize("width", [1100, 390])
@pytest.mark.parametrize(
    ("scheme", "background"), [("light", "rgb(255, 255, 255)"), ("dark", "rgb(20, 24, 29)")]
)
def test_it_fits_and_loads_nothing(
    page_file: Path, browser: Browser, width: int, scheme: Any, background: str
) -> None:
    shown = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    requests: list[str] = []
    complaints: list[str] = []
    shown.on("request", lambda request: requests.append(request.url))
    shown.on("console", lambda message: complaints.append(message.text))
    shown.on("pageerror", lambda error: complaints.append(str(error)))
    shown.goto(page_file.as_uri())
    assert shown.evaluate("document.documentElement.scrollWidth") == width
    assert shown.evaluate("getComputedStyle(document.body).backgroundColor") == background
    assert requests == [page_file.as_uri()]
    assert not complaints
    shown.get_by_text("All categories").click()
    assert shown.get_by_role("cell", name="rorlegger").first.is_visible()
    assert not shown.locator("script").count()
    shown.close()


def test_what_a_posting_says_is_text(page_file: Path) -> None:
    assert ATTACK not in page_file.read_text(encoding="utf-8")
