"""Tables as people's programs write them: read with the right rows, or refused in one sentence."""

from __future__ import annotations

import builtins
import io
import itertools
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marketplace_ai.text.csv_files import TableError, read_csv
from marketplace_ai.text.labeled_csv import read_rows
from marketplace_ai.text.parents import read_catalog
from marketplace_ai.text.reading_notes import told_to
from marketplace_ai.training.data.row_files import read_pairs, read_triplets

ENCODINGS = ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
DELIMITERS = [",", ";", "\t"]
LINE_ENDS = ["\n", "\r\n", "\r"]
QUIRKS: dict[str, Callable[[str, str], str]] = {
    "none": lambda text, d: text,
    "sep line": lambda text, d: f"sep={d}\n{text}",
    "empty lines": lambda text, d: f"\n{text}\n{d}{d}{d}\n\n",
    "empty cells at the end": lambda text, d: text.replace("\n", f"{d}{d}\n"),
    "end-of-file mark": lambda text, d: f"{text}\x1a",
}
READERS: dict[str, tuple[list[str], Callable[[Path], list[str]]]] = {
    "exemplars": (
        ["text", "category"],
        lambda path: [row["text"] for row in read_csv(path, ("text", "category"))],
    ),
    "labeled rows": (["text", "category"], lambda path: list(read_rows(str(path)).texts)),
    "catalog": (["slug", "parent"], lambda path: list(read_catalog(str(path)))),
    "pairs": (["anchor", "positive"], lambda path: [row.anchor for row in read_pairs(path)]),
    "triplets": (
        ["anchor", "positive", "negative"],
        lambda path: [row.anchor for row in read_triplets(path)],
    ),
}
TEXT = "Male gjerdet på hytta, blåse grøft; så «plen»"


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("quirk", QUIRKS)
def test_every_form_is_read_by_every_reader(tmp_path: Path, reader: str, quirk: str) -> None:
    columns, read = READERS[reader]
    file = tmp_path / "table.csv"
    rest = [""] if reader == "catalog" else ["maling", "vegg"][: len(columns) - 1]
    for encoding, delimiter, end in itertools.product(ENCODINGS, DELIMITERS, LINE_ENDS):
        lines = [columns, [f'"{TEXT}"', *rest]]
        text = "".join(delimiter.join(cells) + "\n" for cells in lines)
        text = QUIRKS[quirk](text, delimiter).replace("\n", end)
        file.write_bytes(text.encode(encoding))
        assert read(file) == [TEXT], (encoding, delimiter, end)


@pytest.mark.parametrize(
    ("content", "note"),
    [
        ("text,category\nMale,a\n", None),
        ("text;category\nMale på,a\n".encode("cp1252").replace(b",", b";"),
         "as Windows-1252, with semicolons between the cells."),
        ("text\tcategory\nMale\ta\n".encode("utf-16"), "as UTF-16, with tabs between the cells."),
    ],
)  # fmt: skip
def test_the_form_is_told_once(tmp_path: Path, content: str | bytes, note: str | None) -> None:
    file = tmp_path / "table.csv"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    told: list[str] = []
    with told_to(told.append):
        for _ in range(2):
            read_csv(file, ("text", "category"))
    assert told == ([] if note is None else [f"{file}: read {note}"])


@pytest.mark.parametrize("codec", ["cp850", "cp865", "mac_roman", "cp1250", "cp1251", "cp1253"])
def test_another_code_page_is_never_taken_for_windows_1252(tmp_path: Path, codec: str) -> None:
    text = {"cp1250": "żółta łódź", "cp1251": "покраска", "cp1253": "βάψιμο"}.get(codec, "grønn å")
    file = tmp_path / "table.csv"
    file.write_bytes(f"text,category\n{text},a\n".encode(codec))
    with pytest.raises(TableError, match=r"line 2: byte .* is not UTF-8"):
        read_csv(file, ("text", "category"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"text,category;note\nx,y;z\n", "mixes commas and semicolons"),
        (b"text|category\nx|y\n", "separated by '|'"),
        (b'"text,category"\n"x,y"\n', "each line stands in quotes"),
        (b"text,category\nx;y\n", "may be separated by semicolons"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old Excel workbook"),
        (b"PK\x03\x04abc", "cut off or damaged"),
        (b"%PDF-1.7", "is a PDF"),
        (b"\x1f\x8b\x08", "is compressed"),
        (b"\xff\xfea", "not UTF-16"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "table.csv"
    file.write_bytes(content)
    with pytest.raises(TableError) as caught:
        read_csv(file, ("text", "category"))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def workbook(path: Path, *sheets: list[list[Any]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for rows in sheets:
        sheet = book.create_sheet()
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def test_a_workbook_is_read_as_people_see_it(tmp_path: Path) -> None:
    file = workbook(
        tmp_path / "table.xlsx",
        [["Notater"]],
        [["text", "category", None], ["Male på", 3.0, None], [None, None], [" tre ", "b", ""]],
    )
    told: list[str] = []
    with told_to(told.append):
        rows = read_csv(file, ("text", "category"))
    assert [(row.line, row["text"], row["category"]) for row in rows] == [
        (2, "Male på", "3"),
        (4, "tre", "b"),
    ]
    assert told == [f"{file}: read from the sheet 'Sheet1'."]


@pytest.mark.parametrize(
    ("sheets", "said"),
    [
        ([[["text", "category"]], [["text", "category"]]], "'Sheet', 'Sheet1' all have"),
        ([[["text", "category"], ["=A1", "a"]]], "line 2: the cell A2 of 'Sheet' has a formula"),
        ([[["text", "category"], ["#REF!", "a"]]], "the cell A2 of 'Sheet' shows #REF!"),
        ([[["tekst", "category"]]], "'text' is missing"),
    ],
)
def test_a_workbook_that_is_not_clear_is_refused(
    tmp_path: Path, sheets: list[list[list[Any]]], said: str
) -> None:
    with pytest.raises(TableError) as caught:
        read_csv(workbook(tmp_path / "table.xlsx", *sheets), ("text", "category"))
    assert said in str(caught.value)


def test_without_openpyxl_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = workbook(tmp_path / "table.xlsx", [["text", "category"]])
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "openpyxl":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(TableError, match=r"marketplace-ai\[xlsx\]"):
        read_csv(file, ("text", "category"))


def test_a_workbook_of_nonsense_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "table.xlsx"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook")
    with pytest.raises(TableError, match="the workbook is damaged"):
        read_csv(file, ("text", "category"))


@cache
def small_workbook() -> bytes:
    """The same bytes each time, though a workbook holds the time at which it was made."""
    whole = io.BytesIO()
    book = openpyxl.Workbook()
    book.active.append(["text", "category"])
    book.save(whole)
    return whole.getvalue()


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused_in_one_sentence(tmp_path: Path, data: Any) -> None:
    seeds = ["text;category\r\nså,a\r\n".encode(name) for name in ENCODINGS]
    content = bytearray(data.draw(st.sampled_from([*seeds, small_workbook()])))
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    file = tmp_path / "table.csv"
    file.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        rows = read_csv(file, ("text", "category"))
    except TableError as error:
        assert str(error).startswith(str(file))
    else:
        assert all(set(row.values) == {"text", "category"} for row in rows)
