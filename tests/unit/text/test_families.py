"""The column family: read, checked, and drawn by."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from marketplace_ai.encoding import DummyEncoder
from marketplace_ai.evaluation.vectors import encode
from marketplace_ai.text.csv_files import TableError
from marketplace_ai.text.labeled_csv import Filter, LabeledRows, read_rows, sample_shots
from marketplace_ai.text.reading_notes import told_to


def write(folder: Path, content: str) -> str:
    file = folder / "rows.csv"
    file.write_text(content, encoding="utf-8")
    return str(file)


def test_families_are_read_beside_the_texts(tmp_path: Path) -> None:
    content = "family,text,category\n A  1 ,x,a\n,y,a\nA 1,z,b\n"
    rows = read_rows(write(tmp_path, content))
    assert list(rows.families) == ["A 1", "", "A 1"]
    assert list(rows.take([2, 1]).families) == ["A 1", ""]
    [encoded] = encode(DummyEncoder(16), [rows])
    assert list(encoded.labeled.families) == ["A 1", "", "A 1"]
    filtered = read_rows(write(tmp_path, content), Filter("category", "b"))
    assert list(filtered.families) == ["A 1"]


def test_no_column_and_an_empty_one_are_the_same(tmp_path: Path) -> None:
    assert read_rows(write(tmp_path, "text,category\nx,a\n")).families == []
    assert read_rows(write(tmp_path, "text,category,family\nx,a,\n")).families == []


def test_a_placeholder_is_no_family(tmp_path: Path) -> None:
    """Written by pandas where there is none, it would make one family of half a set."""
    notes: list[str] = []
    with told_to(notes.append):
        rows = read_rows(write(tmp_path, "text,category,family\nx,a,nan\ny,a,N/A\nz,b,7\n"))
    assert list(rows.families) == ["", "", "7"]
    assert [note.partition(": ")[2] for note in notes] == [
        "1 times 'nan', 1 times 'N/A' in the column family, read as unknown."
    ]


def test_a_text_in_the_column_is_named(tmp_path: Path) -> None:
    content = f"text,category,family\nx,a,{'f' * 200}\ny,a,{'f' * 201}\n"
    with pytest.raises(TableError, match=r"line 3: the family has 201 characters"):
        read_rows(write(tmp_path, content))


def of_families(*families: str) -> LabeledRows:
    texts = [f"text {number}" for number in range(len(families))]
    lines = range(2, len(families) + 2)
    return LabeledRows("x.csv", lines, texts, [("a",)] * len(texts), None, {}, families)


def test_a_draw_takes_another_family_while_there_is_one() -> None:
    rows = of_families(*["big"] * 30, *"abcde", "", "")
    for seed in range(20):
        drawn = sample_shots(rows, 8, seed)
        assert Counter(drawn.families) == {"big": 1, **dict.fromkeys("abcde", 1), "": 2}
        assert list(drawn.lines) == sorted(drawn.lines)
        more = sample_shots(rows, 10, seed)
        assert Counter(more.families)["big"] == 3
        assert len(sample_shots(rows, 99, seed)) == len(rows)


def test_a_large_family_is_drawn_no_more_often() -> None:
    rows = of_families(*["big"] * 30, *"abc")
    drawn = Counter(sample_shots(rows, 1, seed).families[0] for seed in range(400))
    assert 60 < drawn["big"] < 140


def test_a_family_of_two_categories_is_drawn_for_each() -> None:
    rows = replace(of_families("k", "k", "k", "m"), true_labels=[("a",), ("b",), ("b",), ("b",)])
    drawn = sample_shots(rows, 1, 0)
    assert drawn.labels == ["a", "b"]
    assert Counter(sample_shots(rows, 2, 0).labels) == {"a": 1, "b": 2}


def test_without_families_the_draw_is_as_it_was() -> None:
    """Published figures depend on it: these rows were drawn before there were families."""
    answers = [("a",)] * 30 + [("b",)] * 3 + [()] * 20
    texts = [f"text {number}" for number in range(len(answers))]
    rows = LabeledRows("x.csv", range(len(answers)), texts, answers, None, {})
    assert list(sample_shots(rows, 4, 1).lines) == [6, 9, 25, 26, 30, 31, 32, 41, 42, 47, 52]
    random = np.random.default_rng(5)
    expected = [
        random.choice(numbers, size=min(6, len(numbers)), replace=False).tolist()
        for numbers in (range(33, 53), range(30), range(30, 33))
    ]
    assert list(sample_shots(rows, 6, 5).lines) == sorted(itertools.chain(*expected))
