from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marketplace_ai.text import csv_files
from marketplace_ai.text.csv_files import TableError, read_csv

REQUIRED = ("text", "category")

cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30)
on_a_file = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def write(folder: Path, content: str | bytes) -> Path:
    file = folder / "table.csv"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def refused(folder: Path, content: str | bytes) -> str:
    file = write(folder, content)
    with pytest.raises(TableError) as caught:
        read_csv(file, REQUIRED)
    message = str(caught.value)
    assert message.startswith(str(file))
    return message.removeprefix(str(file))


@on_a_file
@given(
    rows=st.lists(st.tuples(cells, cells, cells), max_size=6),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    bom=st.booleans(),
    order=st.permutations(["text", "category", "extra"]),
)
def test_what_a_csv_writer_wrote_is_read_back(
    tmp_path: Path,
    rows: list[tuple[str, str, str]],
    end: str,
    bom: bool,
    order: list[str],
) -> None:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, order, quoting=csv.QUOTE_ALL, lineterminator=end)
    writer.writeheader()
    records = [dict(zip(["text", "category", "extra"], row, strict=True)) for row in rows]
    writer.writerows(records)
    file = write(tmp_path, ("\ufeff" if bom else "") + out.getvalue())
    read = read_csv(file, REQUIRED)
    assert [row.values for row in read] == [
        {name: record[name].strip() for name in REQUIRED}
        for record in records
        if any(value.strip() for value in record.values())
    ]
    lines = [row.line for row in read]
    assert lines == sorted(set(lines))


@on_a_file
@given(content=st.binary(max_size=200))
def test_any_file_is_read_or_refused_by_name(tmp_path: Path, content: bytes) -> None:
    file = write(tmp_path, content)
    try:
        rows = read_csv(file, REQUIRED)
    except TableError as error:
        assert str(file) in str(error)
    else:
        assert all(set(row.values) == set(REQUIRED) for row in rows)


def test_lines_are_counted_as_editors_do(tmp_path: Path) -> None:
    file = write(tmp_path, 'text,category\n"en\nto",a\n\ntre,b\n')
    assert [(row.line, row["text"]) for row in read_csv(file, REQUIRED)] == [
        (3, "en\nto"),
        (5, "tre"),
    ]


def test_only_asked_for_columns_are_kept(tmp_path: Path) -> None:
    file = write(tmp_path, "category,note,text,scope\na,x,b,c\n")
    rows = read_csv(file, REQUIRED, ("scope", "absent"))
    assert rows[0].values == {"text": "b", "category": "a", "scope": "c"}


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"nowhere\.csv: No such file"):
        read_csv(tmp_path / "nowhere.csv", REQUIRED)
    with pytest.raises(TableError, match="Is a directory"):
        read_csv(tmp_path, REQUIRED)


def test_an_empty_file_lacks_its_header(tmp_path: Path) -> None:
    assert "'text' is missing" in refused(tmp_path, "")
    assert "it names none" in refused(tmp_path, "")


def test_a_missing_column_is_named_with_what_is_there(tmp_path: Path) -> None:
    message = refused(tmp_path, "text,kategori\na,b\n")
    assert "'category' is missing" in message
    assert "it names text, kategori" in message


def test_a_column_that_stands_twice_is_refused(tmp_path: Path) -> None:
    assert "'text' stands twice" in refused(tmp_path, "text,category,text\na,b,c\n")


def test_another_code_page_is_refused_with_its_line(tmp_path: Path) -> None:
    message = refused(tmp_path, "text,category\nok,a\nrørlegger,b\n".encode("cp865"))
    assert message.startswith(", line 3: byte 0x9b after 'r' is not UTF-8")


def test_nul_is_refused_with_its_line(tmp_path: Path) -> None:
    assert refused(tmp_path, "text,category\na\x00b,c\n").startswith(", line 2: a NUL")


@pytest.mark.parametrize("row", ["a", "a,b,c"])
def test_a_ragged_row_is_refused_with_its_line(tmp_path: Path, row: str) -> None:
    cells = row.count(",") + 1
    expected = f", line 3: {cells} cells where the header has 2"
    assert refused(tmp_path, f"text,category\nx,y\n{row}\n").startswith(expected)


def test_quotes_that_do_not_close_are_refused(tmp_path: Path) -> None:
    assert "not valid CSV" in refused(tmp_path, 'text,category\n"a,b\n')


def test_a_long_description_is_read_and_a_monstrous_one_refused(tmp_path: Path) -> None:
    file = write(tmp_path, f"text,category\n{'x' * 1_000_000},a\n")
    assert len(read_csv(file, REQUIRED)[0]["text"]) == 1_000_000
    too_long = "x" * (csv_files.LARGEST_CELL + 1)
    message = refused(tmp_path, f"text,category\n{too_long},a\n")
    assert message.startswith(", line 2: not valid CSV: field larger")
