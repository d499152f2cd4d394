"""Cells that say nothing, ``none`` in capitals, and parents in a circle."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace_ai.text.bad_rows import BadRows
from marketplace_ai.text.category_cells import category_cells, says_nothing, single_categories
from marketplace_ai.text.circles import find_circle
from marketplace_ai.text.csv_files import Row, TableError
from marketplace_ai.text.labeled_csv import read_rows
from marketplace_ai.text.parents import merge_parents, read_catalog
from marketplace_ai.text.reading_notes import told_to
from marketplace_ai.training.data.row_files import read_pairs

PLACEHOLDERS = [
    "",
    "-",
    "\u2013",
    "n/a",
    "N/A",
    "#N/A",
    "NaN",
    "NULL",
    "nil",
    "?",
    "(blank)",
    "Ingen",
]


def rows(*cells: str) -> list[Row]:
    return [Row(line, {"category": cell}) for line, cell in enumerate(cells, start=2)]


@pytest.mark.parametrize("cell", PLACEHOLDERS)
def test_a_placeholder_is_no_category_and_all_are_counted(cell: str) -> None:
    bad = BadRows("f.csv")
    found = category_cells(bad, rows("a", cell, "b", cell))
    assert [labels for _, labels in found] == [("a",), ("b",)]
    assert list(bad.reasons) == [3, 5]
    assert bad.reasons[3].startswith("the category is ")
    assert (repr(cell) if cell else "empty") in bad.reasons[3]


def test_a_category_may_look_like_a_placeholder() -> None:
    found = category_cells(BadRows("f.csv"), rows("na", "a|na", "x|y"), {"na", "x|y"})
    assert [labels for _, labels in found] == [
        ("na",),
        ("a", "na"),
        ("x|y",),
    ]
    assert not any(map(says_nothing, ["none", "ukjent", "unknown", "other", "annet", "nannies"]))


def test_none_in_capitals_fits_no_category_and_is_told() -> None:
    told: list[str] = []
    with told_to(told.append):
        found = single_categories(BadRows("f.csv"), rows("None", "a", "NONE", "None", "none"))
    assert [label for _, label in found] == [None, "a", None, None, None]
    assert told == [
        "f.csv: 2 times 'None', 1 times 'NONE' in the column category, read as 'none': fits no "
        "category."
    ]


def test_one_category_is_asked_for() -> None:
    bad = BadRows("f.csv")
    assert len(single_categories(bad, rows("a", "a|b"))) == 1
    assert bad.reasons[3].startswith("2 categories")


def test_a_placeholder_in_the_column_parent_is_no_parent(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("text,category,parent\nx,a,-\ny,b,n/a\nz,c,a\nw,a,\n", encoding="utf-8")
    told: list[str] = []
    with told_to(told.append):
        assert read_rows(str(file)).parents == {"a": None, "b": None, "c": "a"}
    assert told == [f"{file}: 1 times '-', 1 times 'n/a' in the column parent, read as no parent."]
    file.write_text("slug,parent\na,NULL\nb,a\n", encoding="utf-8")
    assert read_catalog(str(file)) == {"a": None, "b": "a"}
    file.write_text("slug,parent\na,\nn/a,a\n", encoding="utf-8")
    with pytest.raises(TableError, match="line 3: the slug is 'n/a', which names no category"):
        read_catalog(str(file))


def test_a_placeholder_in_a_table_of_pairs_is_no_category(tmp_path: Path) -> None:
    file = tmp_path / "pairs.csv"
    file.write_text("anchor,positive,category\nx,y,NaN\nz,w,a\n", encoding="utf-8")
    assert [pair.category for pair in read_pairs(file)] == [None, "a"]


@pytest.mark.parametrize(
    ("content", "line"),
    [("a,b\nb,a", 2), ("top,\nb,top\na,a", 4), ("d,b\nb,c\nc,b", 3), ("x,\ny,x\na,c\nb,a\nc,b", 4)],
)
def test_parents_in_a_circle_are_refused_by_every_reader(
    tmp_path: Path, content: str, line: int
) -> None:
    catalog = tmp_path / "catalog.csv"
    catalog.write_text(f"slug,parent\n{content}\n", encoding="utf-8")
    with pytest.raises(TableError, match=rf"line {line}: '\w' would be its own ancestor\. Correct"):
        read_catalog(str(catalog))
    labeled = tmp_path / "rows.csv"
    cells = "".join(f"text,{row}\n" for row in content.split("\n"))
    labeled.write_text(f"text,category,parent\n{cells}", encoding="utf-8")
    with pytest.raises(TableError, match=rf"line {line}: '\w' would be its own ancestor\. Correct"):
        read_rows(str(labeled))


def test_a_circle_over_two_files_names_both(tmp_path: Path) -> None:
    one, other = tmp_path / "one.csv", tmp_path / "other.csv"
    one.write_text("text,category,parent\nx,a,b\n", encoding="utf-8")
    other.write_text("text,category,parent\ny,b,a\n", encoding="utf-8")
    with pytest.raises(TableError, match=r"one\.csv and .*other\.csv: 'a' would be its own"):
        merge_parents(read_rows(str(one)), read_rows(str(other)))


@given(st.dictionaries(st.sampled_from("abcdefg"), st.sampled_from([*"abcdefg", None])))
def test_a_circle_is_found_exactly_where_there_is_one(parents: dict[str, str | None]) -> None:
    def is_own_ancestor(start: str) -> bool:
        name = parents.get(start)
        for _ in range(8):
            if name is None or name == start:
                break
            name = parents.get(name)
        return name == start

    circle = find_circle(parents)
    assert bool(circle) == any(map(is_own_ancestor, parents))
    for child, parent in zip(circle, [*circle[1:], *circle[:1]], strict=True):
        assert parents[child] == parent
