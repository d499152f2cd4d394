"""``evaluate_classifier --by-time`` as somebody with a file of dated postings calls it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.command_calls import call, call_json, refused
from tests.unit.evaluation.test_past_fits import stream

pytestmark = pytest.mark.slow

HEADER = "text,category,posted\n"


def table(rows: list[tuple[str, str, Any]], form: str = "%Y-%m-%d %H:%M") -> str:
    return HEADER + "".join(f"{text},{label},{moment:{form}}\n" for text, label, moment in rows)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("by_time")
    rows = stream(0, months=7, each=8)
    (path / "all.csv").write_text(table(rows), encoding="utf-8")
    (path / "early.csv").write_text(table(rows[:96], "%d.%m.%Y"), encoding="utf-8")
    (path / "late.csv").write_text(table(rows[96:], "%d/%m/%Y %H:%M"), encoding="utf-8")
    return path


def options(folder: Path, **other: Any) -> dict[str, Any]:
    return {
        "train": str(folder / "all.csv"), "by_time": "posted", "encoder": "dummy",
        "target_precision": 0.8, **other,
    }  # fmt: skip


@pytest.fixture(scope="module")
def one_file(folder: Path) -> tuple[dict[str, Any], str, str]:
    """The figures, the page, and what a terminal shows."""
    said = call("evaluate_classifier", **options(folder, report=str(folder / "out")))
    figures, page = (
        (folder / "out" / name).read_text(encoding="utf-8")
        for name in ("results.json", "report.html")
    )
    return json.loads(figures), page, said


def test_one_file_with_dates(one_file: tuple[dict[str, Any], str, str]) -> None:
    figures, _, said = one_file
    found = figures["by_time"]
    assert found["column"] == "posted"
    assert [each["months"] for each in found["periods"]] == [[0, 1], [1, 3], [3, 6]]
    assert found["periods"][0]["accuracy_change"] is None
    assert set(found["periods"][1]) >= {
        "n", "accuracy", "accuracy_interval", "coverage", "precision", "precision_interval",
        "support", "new_category", "categories", "new_categories", "accuracy_change",
    }  # fmt: skip
    assert [fit["before"][:7] for fit in found["fits"]] == [
        "2025-04", "2025-05", "2025-06", "2025-07",
    ]  # fmt: skip
    # The other figures are of the newest rows.
    assert found["since"] == "2025-07-01T00:00:00"
    assert figures["n"] + figures["exemplars"] == 7 * 24
    assert figures["files"]["test"] == figures["files"]["train"]
    assert "By time: fits on what came before 2025-04-01" in said
    assert "Note: The test rows are those since 2025-07-01" in said


def test_the_report_draws_it(one_file: tuple[dict[str, Any], str, str]) -> None:
    _, page, _ = one_file
    assert "How long does a fit stay good?" in page
    assert page.count("<svg ") == 3
    assert "The test rows are those since 2025-07-01" in page


def test_a_second_file_is_what_is_asked_about(folder: Path) -> None:
    found = call_json(
        "evaluate_classifier",
        **options(folder, train=str(folder / "early.csv"), test=str(folder / "late.csv")),
    )
    assert found["n"] == 7 * 24 - 96
    assert found["by_time"]["since"] is None
    assert found["by_time"]["fits"][-1]["exemplars"] == 96


def test_bad_dates_are_bad_rows(folder: Path) -> None:
    rows = stream(0, months=3, each=8)
    file = folder / "bad.csv"
    file.write_text(table(rows) + "male gjerde,kategori 0,i går\n", encoding="utf-8")
    said = refused("evaluate_classifier", **options(folder, train=str(file)))
    assert "line 74: the posted 'i går' is no date" in said
    assert "--skip-bad takes the other rows" in said
    found = call_json("evaluate_classifier", **options(folder, train=str(file), skip_bad=True))
    assert found["left_out"]["train"]["bad"]["n"] == 1


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"by_time": None}, "Give --test, the rows that are decided, or --by-time COLUMN"),
        ({"by_time": "created"}, "the column 'created' is missing"),
        ({"by_time": "date"}, "the column 'date' with the dates is missing"),
        ({"shots": 3}, "--shots draws rows of any date"),
        ({"test_where": "a=b"}, "--test-where chooses rows of --test, which is not given"),
    ],
)
def test_wrong_options(folder: Path, changed: dict[str, Any], said: str) -> None:
    assert said in refused("evaluate_classifier", **options(folder, **changed))


def test_rows_of_one_month_say_what_is_missing(folder: Path) -> None:
    file = folder / "month.csv"
    file.write_text(table(stream(0, months=1)), encoding="utf-8")
    said = refused("evaluate_classifier", **options(folder, train=str(file)))
    assert said == (
        "All rows are of one month (2025-01), so none is later than a fit: add rows of another "
        "month."
    )


def test_dates_of_a_workbook(folder: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["text", "category", "posted"])
    for number, (text, label, moment) in enumerate(stream(0, months=3, each=8)):
        assert moment is not None
        serial = (moment.toordinal() - 693594) if number % 2 else moment
        book.active.append([text, label, serial])
    book.save(folder / "book.xlsx")
    found = call_json("evaluate_classifier", **options(folder, train=str(folder / "book.xlsx")))
    assert [fit["before"] for fit in found["by_time"]["fits"]] == [
        "2025-02-01T00:00:00", "2025-03-01T00:00:00",
    ]  # fmt: skip
