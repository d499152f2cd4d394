"""``assess`` on a file: figures, the page, and what it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings
from django.utils import translation

from tests.integration.command_calls import call, call_json, refused

from .files import ATTACK, csv_file, postings

pytestmark = pytest.mark.slow

HEADER = "text,category\n"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("assess") / "postings.csv"
    path.write_text(csv_file(), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def figures(file: str) -> dict[str, Any]:
    return call_json("assess", file, per_month=6000, seconds=30)


def test_figures_of_a_file(figures: dict[str, Any]) -> None:
    assert figures["rows"] == 184
    assert 20 <= figures["held_out"] <= 50
    assert figures["since"].startswith("2026-0")
    first = figures["first_choice"]
    assert first["share"] > 0.9
    assert first["interval"][0] < first["share"] < first["interval"][1]
    targets = [each["target_precision"] for each in figures["coverages"]]
    assert targets == [0.9, 0.95, 0.97, 0.99]
    loosest, *_, strictest = figures["coverages"]
    assert loosest["threshold"] is not None
    assert loosest["automatic"] == round(loosest["held_out_coverage"] * figures["held_out"])
    assert loosest["hours_saved"] == pytest.approx(6000 * loosest["coverage"] * 30 / 3600)
    assert strictest["threshold"] is None  # 184 rows cannot prove 99%
    assert strictest["rows_needed"] > 0
    assert figures["workload"] == {"per_month": 6000.0, "seconds": 30.0, "measured": False}
    assert [each["label"] for each in figures["categories"]] == ["plen", "rorlegger", "maling"] or [
        each["rows"] for each in figures["categories"]
    ] == sorted(each["rows"] for each in figures["categories"])


def test_how_long_a_fit_stays_good(figures: dict[str, Any]) -> None:
    found = figures["by_time"]
    assert [each["months"] for each in found["periods"]][:2] == [[0, 1], [1, 3]]
    assert len(found["fits"]) == 3
    assert found["undated"] == 4  # the attack, the text in capitals, both "kjøre bort"
    assert found["periods"][0]["accuracy"] > 0.9


def test_what_is_wrong_with_the_file(figures: dict[str, Any]) -> None:
    assert figures["blank"] == {"n": 2, "first": [183, 184]}
    assert figures["contradictions"]["n"] == 1
    assert "kjøre bort" in figures["contradictions"]["first"][0]
    repeats = figures["near_duplicates"]
    assert repeats["rows"] >= 4
    assert repeats["several_labels"] == 1


def test_a_wrong_label_is_found(table: Any) -> None:
    rows = postings()
    flipped = [5, 50, 100]
    lines = [
        f"{text},{'rorlegger' if number in flipped else label}"
        for number, (text, label) in enumerate(rows)
    ]
    found = call_json("assess", table(HEADER + "\n".join(lines)))
    first = found["suspected_labels"]["first"][0]
    row = first["place"] - 2
    assert row in flipped
    assert (first["label"], first["suggested"]) == ("rorlegger", rows[row][1])
    assert found["since"] is None


@pytest.mark.parametrize(
    ("language", "title", "section"),
    [
        ("en", "What could be", "How long does a fit stay good?"),
        ("nb", "Hva som kan", "Hvor lenge holder en tilpasning?"),
    ],
)
def test_the_page_needs_nothing_else(
    file: str, tmp_path: Path, language: str, title: str, section: str
) -> None:
    page = tmp_path / "new" / "page.html"
    said = call("assess", file, html=str(page), language=language)
    assert f"Page: {page}" in said
    assert "Hours: of " in said
    html = page.read_text(encoding="utf-8")
    assert f'<html lang="{language}">' in html
    assert title in html
    assert section in html
    assert "By time: fits on what came before " in said
    assert html.count("<svg ") == 1
    assert "<script" not in html
    assert ATTACK not in html
    assert not re.search(r"url\(|@import|\b(src|href)=", html)
    assert "default-src 'none'" in html


def test_the_page_speaks_the_projects_language(file: str, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    with override_settings(LANGUAGE_CODE="nb"), translation.override("nb"):
        call("assess", file, html=str(page))
    assert '<html lang="nb">' in page.read_text(encoding="utf-8")


def test_an_earlier_page_stays_without_force(file: str, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("mine", encoding="utf-8")
    assert "add --force" in refused("assess", file, html=str(page))
    assert page.read_text(encoding="utf-8") == "mine"
    call("assess", file, html=str(page), force=True)
    assert "<!doctype html>" in page.read_text(encoding="utf-8")


def many(label: str = "maling", each: int = 60) -> list[str]:
    return [f"{text},{label}" for text, _ in postings(each)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("text,kategori\nMale,maling\n", "the column 'category' is missing"),
        ("category\nmaling\n", "it needs a column text, or title and description"),
        (HEADER, "there is no row below the header"),
        (HEADER + "Male vegg,\nKlippe,plen\n", "line 2: the category is empty"),
        (HEADER + "\n".join(many()), "all rows have the category 'maling'"),
        (HEADER + "\n".join(many("none")), "all rows fit no category"),
        (HEADER + "!!!,maling\n...,plen\n", "so there is nothing to go by"),
        (HEADER + "Male stue,maling\nKlippe,plen\n", "2 rows are too few"),
        (
            HEADER + "Male stue,maling\nKlippe plen,plen\n" * 40,
            "80 rows, which count as 2 because the others repeat them, are too few",
        ),
        ("text,category,date\nMale,maling,i går\n", "line 2: the date 'i går' is no date"),
        (
            "text,category,date\n"
            + "\n".join(
                f"{line},2026-01-{1 + number // 10:02}"
                for number, line in enumerate(
                    many()[:140] + [f"{text[::-1]} {number},plen" for number, (text, _) in
                    enumerate(postings()[140:])]
                )
            ),
            "the older rows have the category 'maling' alone, so nothing can be learned",
        ),
    ],
    ids=[
        "no category column", "no text", "no row", "no label", "one category", "none alone",
        "blank", "too few", "repeats", "no date", "older rows of one category",
    ],
)  # fmt: skip
def test_what_cannot_be_assessed_is_refused_in_a_sentence(
    table: Any, content: str, said: str
) -> None:
    assert said in refused("assess", table(content))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "Give either a file or --from-jobs."),
        ({"per_month": 0}, "--per-month must be above 0, not 0."),
        ({"seconds": -1}, "--seconds must be above 0, not -1."),
        ({"limit": 0}, "--limit must be 1 or more, not 0."),
        ({"date": "posted"}, "the column 'posted' is missing"),
        ({"html": "manage.py/page.html"}, "manage.py cannot be written. Name another folder."),
        ({"html": "tests"}, "a folder of that name is there"),
    ],
)
def test_wrong_options(file: str, options: dict[str, Any], said: str) -> None:
    assert said in refused("assess", *([file] if options else []), **options)


def test_the_newest_rows_are_taken(file: str) -> None:
    found = call_json("assess", file, limit=120)
    assert found["rows"] == 120
    assert found["blank"]["n"] == 0  # they have no date, or an old one


@pytest.mark.parametrize(
    ("date", "said"),
    [
        (None, "By time: no posting has a date; --date COLUMN names the column that has one."),
        ("2026-03-01", "By time: All rows are of one month (2026-03), so none is later than a fit"),
    ],
)
def test_what_time_cannot_tell_is_said(table: Any, date: str | None, said: str) -> None:
    lines = [f"{text},{label}" + (f",{date}" if date else "") for text, label in postings(30)]
    header = "text,category" + (",date" if date else "")
    assert said in call("assess", table("\n".join([header, *lines])))


def test_json_is_one_line(file: str) -> None:
    assert len(call("assess", file, json=True).splitlines()) == 1
    assert json.loads(call("assess", file, json=True))["encoder"]["name"] == "dummy:64"
