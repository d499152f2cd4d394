"""Tables in every form, through the commands that take them, and damaged ones: all rows or none."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marketplace_ai.evaluation import evaluate
from marketplace_ai.models import Category, Exemplar, JobPosting

pytestmark = pytest.mark.django_db

Cells = list[list[str]]
XLSX = "xlsx"
ENCODINGS = ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
QUIRKS: list[Callable[[str, str], str]] = [
    lambda text, d: text,
    lambda text, d: f"sep={d}\n{text}",
    lambda text, d: f"\n{text}\n{d}{d}{d}\n\n",
    lambda text, d: text.replace("\n", f"{d}{d}\n"),
    lambda text, d: f"{text}\x1a",
]
#: Encoding, delimiter, line end and quirk: each encoding with each delimiter, the others in turn.
FORMS = [
    (encoding, delimiter, end, QUIRKS[number % len(QUIRKS)])
    for number, ((encoding, delimiter), end) in enumerate(
        zip(itertools.product(ENCODINGS, ",;\t"), itertools.cycle(["\n", "\r\n", "\r"]))
    )
] + [(XLSX, "", "", QUIRKS[0])]
#: What Excel in Norway writes, a sheet that was pasted, and a workbook: for commands that fit.
FEW = [
    ("cp1252", ";", "\r\n", QUIRKS[1]), ("utf-16", "\t", "\r\n", QUIRKS[2]),
    ("utf-8-sig", ",", "\r", QUIRKS[3]), (XLSX, "", "", QUIRKS[0]),
]  # fmt: skip

LABELED: Cells = [
    ["text", "category"],
    *(
        [f"{word} på «hytta», grønn {number}", key]
        for key, word in [("maling", "Male"), ("plen", "Klippe"), ("none", "Hei")]
        for number in ("én", "to", "tre")
    ),
]
CATALOG: Cells = [
    ["slug", "parent", "name_nb"],
    ["ute", "", "Utendørs, på tomta"],
    ["hekk", "ute", "Hekk"],
    ["maling", "ute", "M"],
    ["plen", "ute", "P"],
]
POSTINGS: Cells = [["title", "description"], ["Male gjerdet", "På «hytta», grønn; så blå"]]


def as_bytes(cells: Cells, form: Any) -> bytes:
    encoding, delimiter, end, quirk = form
    if encoding == XLSX:
        return workbook(tuple(map(tuple, cells)))
    lines = (delimiter.join(f'"{cell}"' for cell in row) for row in cells)
    text: str = quirk("".join(f"{line}\n" for line in lines), delimiter)
    return text.replace("\n", end).encode(encoding)


@cache
def workbook(rows: tuple[tuple[str, ...], ...]) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    whole = io.BytesIO()
    book.save(whole)
    return whole.getvalue()


def say(*arguments: str) -> tuple[int, str]:
    out = io.StringIO()
    try:
        call_command(*arguments, stdout=out, stderr=out)
    except CommandError as error:
        # A sentence for each fault, with its place.
        assert all(line.startswith(arguments[1]) for line in str(error).splitlines())
        return error.returncode, str(error)
    return 0, out.getvalue()


@contextmanager
def undone() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def names() -> set[tuple[str, Any, str]]:
    return set(Category.objects.values_list("slug", "parent__slug", "name"))


#: command: (its table, what is stored by it)
IMPORTS: dict[str, tuple[Cells, Callable[[], Any]]] = {
    "import_exemplars": (LABELED, lambda: {*Exemplar.objects.values_list("text", "category_key")}),
    "import_catalog": (CATALOG, names),
    "import_jobs": (POSTINGS, lambda: {*JobPosting.objects.values_list("title", "description")}),
}


@pytest.mark.parametrize("command", IMPORTS)
def test_every_import_stores_the_same_of_every_form(
    command: str, catalog: dict[str, Category], tmp_path: Path
) -> None:
    cells, stored = IMPORTS[command]
    file = tmp_path / "table"
    expected = None
    for form in FORMS:
        with undone():
            file.write_bytes(as_bytes(cells, form))
            code, said = say(command, str(file))
            assert code == 0, (form[:3], said)
            expected = expected or stored()
            assert stored() == expected, form[:3]
    assert expected is not None
    assert "grønn" in str(expected) or "Utendørs, på tomta" in str(expected)


EVALUATE = ("evaluate_classifier", "--encoder", "dummy")
#: name: the command for a labeled table and a catalog, and what it says of nine rows.
READERS: dict[str, tuple[Callable[[str, str, Path], tuple[str, ...]], str]] = {
    "fit": (
        lambda file, catalog, out: ("fit_classifier", "--calibration", file, "--dry-run"),
        "(9 rows, out-of-fold)",
    ),
    "evaluate": (
        lambda file, catalog, out: (
            *EVALUATE, "--train", file, "--test", file, "--calibration", file, "--catalog", catalog,
        ),
        "9 test rows; 9 exemplars of 2 categories",
    ),
    "mine": (
        lambda file, catalog, out: (
            "mine_training_data", "--from", file, "--catalog", catalog, "--out", str(out),
        ),
        "triplets from",
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS)
def test_commands_that_learn_read_every_form(
    reader: str, fitted: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate, "simpler_rules", lambda *args, **options: {})
    command, expected = READERS[reader]
    file, catalog = tmp_path / "labeled", tmp_path / "catalog"
    for number, form in enumerate(FEW):
        file.write_bytes(as_bytes(LABELED, form))
        catalog.write_bytes(as_bytes(CATALOG, form))
        code, said = say(*command(str(file), str(catalog), tmp_path / f"out{number}"))
        assert code == 0, (form[:3], said)
        assert expected in said, form[:3]
        assert (f"{file}: read " in said) == (form[0] != "utf-8-sig")


def row_counts() -> dict[str, int]:
    """The rows of every table of ours."""
    models = apps.get_app_config("marketplace_ai").get_models()
    return {model.__name__: model._base_manager.count() for model in models}


SEEDS = [as_bytes(cells, form) for cells, _ in IMPORTS.values() for form in FEW]


@pytest.mark.slow
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_damaged_table_is_imported_whole_or_not_at_all(
    catalog: dict[str, Category], tmp_path: Path, data: Any
) -> None:
    content = bytearray(data.draw(st.sampled_from(SEEDS)))
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    file = tmp_path / "table"
    file.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    before = row_counts()
    commands = [*IMPORTS, "import_exemplars --create-categories"]
    name, *options = data.draw(st.sampled_from(commands)).split()
    with undone():
        code, said = say(name, str(file), *options)
        if code:
            assert code == 2
            assert said.startswith(str(file))
            assert row_counts() == before
        elif name == "import_jobs":
            created = row_counts()["JobPosting"] - before["JobPosting"]
            assert f"{created} postings created" in said
        elif name == "import_exemplars":
            added = row_counts()["Exemplar"] - before["Exemplar"]
            assert f"{added} exemplars added" in said
