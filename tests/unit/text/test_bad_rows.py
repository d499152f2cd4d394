"""All bad rows of a file are named at once, or skipped and reported; blank texts are counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from marketplace_ai.evaluation.inputs import Source, read_inputs
from marketplace_ai.text.bad_rows import MAX_NAMED, MAX_REASON, BadRows, BadRowsError, LeftOut
from marketplace_ai.text.csv_files import TableError, read_csv
from marketplace_ai.text.labeled_csv import Filter, read_rows
from marketplace_ai.text.normalize import is_blank
from marketplace_ai.text.parents import read_catalog
from marketplace_ai.text.reading_notes import told_to

HEADER = "text,category,parent\n"
#: What is wrong with a row between two good ones, and what is said of it.
BAD = {
    "no label": ("x,,p", "the category is empty"),
    "placeholder": ("x,n/a,p", "the category is 'n/a', which names none"),
    "none beside a category": ("x,none|a,p", "'none' stands beside a category"),
    "another parent": ("x,a,q", "the category 'a' is under 'q' here"),
    "too many parents": ("x,a|b|c,p|q", "3 categories and 2 parents"),
    "its own ancestor": ("x,c,c", "'c' would be its own ancestor"),
    "too few cells": ("x,a", "2 cells where the header has 3"),
    "too many cells": ("x,y,a,p", "4 cells where the header has 3"),
    "a stray quote": ('"x"y,a,p', "not valid CSV"),
    "NUL": ("x\x00,a,p", "a NUL character"),
    "not in the catalog": ("x,unknown,p", "the category 'unknown' is not in c.csv"),
    "no text": (",a,p", "the text is empty"),
}


def write(folder: Path, content: str) -> str:
    file = folder / "rows.csv"
    file.write_bytes(content.encode())
    return str(file)


def read(path: str, *, skip_bad: bool = False) -> tuple[list[str], LeftOut]:
    rows = read_rows(path, for_fitting=True, known=set("abcz"), catalog="c.csv", skip_bad=skip_bad)
    return list(rows.texts), rows.left_out


@pytest.mark.parametrize("case", BAD)
def test_each_kind_of_bad_row_is_named_or_skipped(tmp_path: Path, case: str) -> None:
    row, reason = BAD[case]
    path = write(tmp_path, f"{HEADER}first,a,p\n{row}\nlast,b,p\n")
    with pytest.raises(BadRowsError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}, line 3: {reason}")
    texts, left_out = read(path, skip_bad=True)
    assert texts == ["first", "last"]
    assert (left_out.total, len(left_out.bad)) == (3, 1)
    assert left_out.bad[0][0] == 3
    assert reason in left_out.bad[0][1]


def test_a_broken_byte_in_a_file_of_utf8_is_one_bad_row(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    lines = ["text,category", "Male på stue og kjøkken,a", "Tak over d\x9br,b", "Rør i vegg,c"]
    file.write_bytes(
        b"\n".join(line.encode("latin-1") if "\x9b" in line else line.encode() for line in lines)
    )
    with pytest.raises(
        BadRowsError, match=r"line 3: the byte 0x9b after 'Tak over d' is not UTF-8"
    ):
        read_rows(str(file))
    rows = read_rows(str(file), skip_bad=True)
    assert list(rows.labels) == ["a", "c"]
    assert rows.texts[0] == "Male på stue og kjøkken"


def test_a_broken_byte_in_the_header_refuses_the_file(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_bytes("text,category,på dør\x9b\nøre på,a,b\n".encode("latin-1"))
    with pytest.raises(TableError, match="not UTF-8"):
        read_rows(str(file), skip_bad=True)
    file.write_bytes(b"text,category,d\x9br\n" + "øre på,a,b\n".encode())
    with pytest.raises(TableError, match="line 1: the byte 0x9b"):
        read_rows(str(file), skip_bad=True)


def test_all_bad_rows_of_all_kinds_are_named_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + "first,a,p\n" + "".join(f"{row}\n" for row, _ in BAD.values()))
    with pytest.raises(BadRowsError) as caught:
        read(path)
    *lines, last = str(caught.value).split("\n")
    assert last == f"{path}: {len(BAD)} of {len(BAD) + 1} rows cannot be used."
    for line, (number, (_, reason)) in zip(lines, enumerate(BAD.values(), start=3), strict=True):
        assert line.startswith(f"{path}, line {number}: {reason}")
    assert read(path, skip_bad=True)[0] == ["first"]


def test_rows_with_one_fault_are_one_sentence(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + "first,a,p\n" + "x,,p\n" * (MAX_NAMED + 7))
    with pytest.raises(BadRowsError) as caught:
        read(path)
    [line] = str(caught.value).split("\n")
    assert line.startswith(f"{path}, line 3: the category is empty; write 'none'")
    assert f"So in {MAX_NAMED + 7} of {MAX_NAMED + 8} rows: lines 3, 4, 5, " in line
    assert line.endswith(", 21, 22 and 7 more.")


def test_the_message_is_bounded(tmp_path: Path) -> None:
    cells = (f"x,{'x' * 5000}{number},p\ny,unknown{number},p\n" for number in range(MAX_NAMED))
    path = write(tmp_path, f"{HEADER}first,a,p\n{''.join(cells)}")
    with pytest.raises(BadRowsError) as caught:
        read(path)
    lines = str(caught.value).split("\n")
    assert len(lines) == MAX_NAMED + 1
    assert max(map(len, lines)) < MAX_REASON + len(path) + 20 * MAX_NAMED
    # The long cells are cut before their numbers, so they are one fault.
    assert lines[-1] == f"{path}: 40 of 41 rows cannot be used, 1 more than named here."
    listed = read(path, skip_bad=True)[1].as_json()["bad"]
    assert (listed["n"], len(listed["lines"])) == (40, 40)


def test_a_file_of_bad_rows_alone_is_refused_in_any_case(tmp_path: Path) -> None:
    path = write(tmp_path, f"{HEADER}x,,\ny,\n")
    for skip_bad in (False, True):
        with pytest.raises(BadRowsError, match="2 of 2 rows"):
            read(path, skip_bad=skip_bad)


def test_what_is_skipped_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, f"{HEADER}x,a,p\ny,,p\n...,a,p\nola@example.com,b,p\n")
    told: list[str] = []
    with told_to(told.append):
        read(path, skip_bad=True)
    assert told[0].startswith(
        f"{path}: 1 of 4 rows are skipped:\n{path}, line 3: the category is empty"
    )
    assert told[1] == (
        f"{path}: 2 of 4 texts are left out: they are nothing to go by, without a letter or digit "
        "after scrubbing (lines 4, 5)."
    )


def test_a_quote_that_hides_where_rows_end_is_refused(tmp_path: Path) -> None:
    for content in ('x,"a,p\ny,b,p\nz,"c",p\n', '"x,a,p\ny,b,p\n'):
        path = write(tmp_path, HEADER + content)
        with pytest.raises(TableError, match=r"the row begins in line 2"):
            read(path, skip_bad=True)


def test_a_bad_row_outside_the_filter_is_not_reported(tmp_path: Path) -> None:
    path = write(tmp_path, "split,text,category\ntrain,x,\ntest,y,a\ntest,z,\n")
    rows = read_rows(path, Filter("split", "test"), skip_bad=True)
    assert (rows.left_out.total, [line for line, _ in rows.left_out.bad]) == (2, [4])


def test_rows_below_a_skipped_category_are_skipped_too(tmp_path: Path) -> None:
    path = write(tmp_path, "slug,parent\na,\nb,nowhere\nc,b\nd,c\ne,a\na,\nnone,\n")
    with pytest.raises(BadRowsError) as caught:
        read_catalog(path)
    lines = str(caught.value).split("\n")[:-1]
    assert [line.split(":")[0].removeprefix(path) for line in lines] == [
        ", line 3", ", line 7", ", line 8",
    ]  # fmt: skip
    assert read_catalog(path, skip_bad=True) == {"a": None, "e": "a"}


def test_readers_without_a_collector_name_all_bad_rows(tmp_path: Path) -> None:
    path = write(tmp_path, "text,category\nx\ny,a\nz,b,c\n")
    with pytest.raises(BadRowsError, match="2 of 3 rows") as caught:
        read_csv(path, ("text", "category"))
    assert "line 2: 1 cells" in str(caught.value)
    assert "line 4: 3 cells" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["", "...", "🎉🎉", "…", "https://example.com/ad/1?x=2", "www.example.no", "HTTP://a.no www.b!",
     "… https://a.no/x"],
)  # fmt: skip
def test_nothing_to_go_by(text: str) -> None:
    assert is_blank(text)


@pytest.mark.parametrize("text", ["1", "Male", "Se https://a.no", "swww.a", "https: male"])
def test_something_to_go_by(text: str) -> None:
    assert not is_blank(text)


def test_a_posting_is_named_by_its_key() -> None:
    bad = BadRows("Your postings", True, "posting", total=3)
    bad.add("b-2", "no")
    bad.blank.append("a-1")
    assert bad.check().as_json() == {
        "rows": 3,
        "bad": {"n": 1, "postings": [{"posting": "b-2", "reason": "no"}]},
        "blank": {"n": 1, "postings": ["a-1"]},
    }


def test_a_parent_that_another_file_contradicts_is_a_bad_row(tmp_path: Path) -> None:
    train, test = tmp_path / "train.csv", tmp_path / "test.csv"
    train.write_text(f"{HEADER}x,a,p\ny,b,\n", encoding="utf-8")
    test.write_text(f"{HEADER}z,a,p\nv,a,q\nw,b,p\n", encoding="utf-8")
    files = Source(str(train)), Source(str(test))
    with pytest.raises(BadRowsError) as caught:
        read_inputs(*files)
    assert (
        f"{test}, line 3: the category 'a' is under 'q' here and under 'p' in {train} (or"
        in str(caught.value)
    )
    assert f"{test}, line 4: the category 'b' is under 'p' here and under None in" in str(
        caught.value
    )
    inputs = read_inputs(*files, skip_bad=True)
    assert (list(inputs.test.texts), inputs.parents) == (["z"], {"a": "p", "b": None})


@pytest.mark.parametrize(("total", "leaves_rows"), [(2, False), (3, True)])
def test_skipping_is_a_cure_only_where_good_rows_are_left(total: int, leaves_rows: bool) -> None:
    bad = BadRows("a.csv", total=total)
    bad.add(2, "wrong.")
    bad.add(3, "wrong.")
    with pytest.raises(BadRowsError) as caught:
        bad.check()
    assert caught.value.leaves_rows == leaves_rows
