from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from marketplace_ai.encoding import DummyEncoder
from marketplace_ai.evaluation.inputs import Source, read_inputs
from marketplace_ai.evaluation.vectors import encode, encode_inputs
from marketplace_ai.text.csv_files import TableError
from marketplace_ai.text.labeled_csv import (
    Filter,
    LabeledRows,
    read_rows,
    sample_shots,
)
from marketplace_ai.text.parents import read_catalog

ALL = "split,text,category\ntrain,Male stue,maling\ntest,Klippe gress,plen|hage\ntest,Hei,none\n"


def write(folder: Path, content: str, name: str = "rows.csv") -> str:
    file = folder / name
    file.write_text(content, encoding="utf-8")
    return str(file)


def refused(folder: Path, content: str, **options: object) -> str:
    with pytest.raises(TableError) as caught:
        read_rows(write(folder, content), **options)  # type: ignore[arg-type]
    return str(caught.value).removeprefix(str(folder / "rows.csv"))


def test_filter_answers_and_none(tmp_path: Path) -> None:
    rows = read_rows(write(tmp_path, ALL), Filter.parse("split=test"))
    assert list(rows.texts) == ["Klippe gress", "Hei"]
    assert list(rows.true_labels) == [("plen", "hage"), ()]
    assert rows.labels == ["plen", None]
    assert (list(rows.lines), rows.num_multi_label, rows.kinds) == ([3, 4], 1, None)


def test_title_and_description_are_joined_and_prepared(tmp_path: Path) -> None:
    rows = read_rows(write(tmp_path, "title,description,category\nMale,hele  huset,a\nBare,,a\n"))
    assert list(rows.texts) == ["Male\nhele huset", "Bare"]


def test_a_filter_that_fits_nothing_says_what_there_is(tmp_path: Path) -> None:
    message = refused(tmp_path, ALL, where=Filter("split", "tset"))
    assert message == ": no row has split=tset. The values of split are test, train."
    message = refused(tmp_path, ALL, where=Filter("spilt", "test"))
    assert "'spilt' is missing" in message
    assert "it names split, text, category" in message
    with pytest.raises(ValueError, match="COLUMN=VALUE"):
        Filter.parse("split")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text,category\n", ": there is no row"),
        ("category\na\n", ": it needs a column text"),
        ("text,category\nx,\n", ", line 2: the category is empty"),
        ("text,category\nx,a|\n", ", line 2: the category is empty or has an empty part"),
        ("text,category\nx,none|a\n", ", line 2: 'none' stands beside"),
        ("text,category,parent\nx,a,p\ny,a,q\n", ", line 3: the category 'a' is under 'q'"),
        ("text,category,parent\nx,a|b|c,p|q\n", ", line 2: 3 categories and 2 parents"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, content: str, message: str) -> None:
    assert refused(tmp_path, content).startswith(message)


def test_what_is_learnt_from_must_say_something(tmp_path: Path) -> None:
    content = "text,category\nHei,none\n...,none\nola@example.com,a\n"
    rows = read_rows(write(tmp_path, content), for_fitting=True)
    assert (list(rows.texts), list(rows.left_out.blank)) == (["Hei"], [3, 4])
    assert len(read_rows(write(tmp_path, content))) == 3
    nothing = "text,category\n...,none\n900 12 345,a\n"
    assert "no row is left" in refused(tmp_path, nothing, for_fitting=True)
    empty = "text,category\nHei,none\n,a\n"
    assert refused(tmp_path, empty, for_fitting=True).startswith(", line 3: the text is empty")


def test_a_bad_row_outside_the_filter_harms_nobody(tmp_path: Path) -> None:
    path = write(tmp_path, "split,text,category\ntrain,x,\ntest,y,a\n")
    assert len(read_rows(path, Filter("split", "test"))) == 1


def many() -> LabeledRows:
    answers = [("a",)] * 30 + [("b",)] * 3 + [()] * 20
    texts = [f"text {number}" for number in range(len(answers))]
    return LabeledRows("x.csv", range(2, len(answers) + 2), texts, answers, None, {})


def test_the_draw_is_by_category_and_hangs_on_the_seed() -> None:
    rows = many()
    drawn = sample_shots(rows, 8, 1)
    assert Counter(drawn.labels) == {"a": 8, "b": 3, None: 8}
    assert list(drawn.lines) == sorted(drawn.lines)
    assert list(sample_shots(rows, 8, 1).texts) == list(drawn.texts)
    assert list(sample_shots(rows, 8, 2).texts) != list(drawn.texts)


def test_catalog_and_columns_give_parents(tmp_path: Path) -> None:
    train = write(tmp_path, "text,category,parent\nx,a,p\ny,b,\n", "train.csv")
    test = write(tmp_path, "text,category,parent\nz,a|c,p|q\n", "test.csv")
    assert read_inputs(Source(train), Source(test)).parents == {"a": "p", "b": None, "c": "q"}
    catalog = write(tmp_path, "slug,parent\ntop,\na,top\nb,top\n", "catalog.csv")
    inputs = read_inputs(Source(train), Source(test), catalog=catalog)
    assert inputs.parents == {"top": None, "a": "top", "b": "top"}
    other = write(tmp_path, "text,category,parent\nz,a,q\n", "other.csv")
    with pytest.raises(TableError, match="'a' is under"):
        read_inputs(Source(train), Source(other))
    lacking = write(tmp_path, "slug,parent\na,\n", "lacking.csv")
    with pytest.raises(TableError, match=r"train\.csv, line 3: the category 'b' is not in"):
        read_inputs(Source(train), Source(test), catalog=lacking)


@pytest.mark.parametrize("row", ["none,", ",a", "a,\na,", "a,nowhere"])
def test_a_bad_catalog_is_refused(tmp_path: Path, row: str) -> None:
    with pytest.raises(TableError, match=r"rows\.csv, line \d"):
        read_catalog(write(tmp_path, f"slug,parent\n{row}\n"))


class Counting(DummyEncoder):
    def __init__(self) -> None:
        super().__init__(16)
        self.seen: list[str] = []

    def encode(self, texts):  # type: ignore[no-untyped-def]
        self.seen += texts
        return super().encode(texts)


def test_equal_texts_are_encoded_once_and_kept(tmp_path: Path) -> None:
    rows = read_rows(write(tmp_path, "text,category\nx,a\ny,a\nx,b\n"))
    encoder = Counting()
    first, again = encode(encoder, [rows, rows.take([1])], kept_in=tmp_path / "kept")
    assert sorted(encoder.seen) == ["x", "y"]
    assert np.array_equal(first.vectors, DummyEncoder(16).encode(list(rows.texts)))
    assert np.array_equal(again.vectors[0], first.vectors[1])
    later = Counting()
    [kept] = encode(later, [rows], kept_in=tmp_path / "kept")
    assert later.seen == []
    assert np.array_equal(kept.vectors, first.vectors)
    [file] = (tmp_path / "kept").iterdir()
    encode(DummyEncoder(8), [rows], kept_in=tmp_path / "kept")  # another encoder, another file
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(TableError, match="Delete it"):
        encode(Counting(), [rows], kept_in=tmp_path / "kept")


def test_vectors_of_exemplars_are_exact_and_kept_apart(tmp_path: Path) -> None:
    class Rounding(DummyEncoder):
        dtype = "int8"

        @property
        def reference_encoder(self) -> DummyEncoder:
            return DummyEncoder(self.dimension)

        def encode(self, texts):  # type: ignore[no-untyped-def]
            return -super().encode(texts)

    file = write(tmp_path, "text,category\nx,a\ny,b\n")
    inputs = read_inputs(Source(file), Source(file), Source(file))
    exact = DummyEncoder(16).encode(["x", "y"])
    for _ in range(2):  # encoded, then as they were kept
        train, *others = encode_inputs(Rounding(16), inputs, kept_in=tmp_path / "kept")
        assert np.array_equal(train.vectors, exact)
        assert len(others) == 2
        assert all(np.array_equal(rows.vectors, -exact) for rows in others)
    assert len(list((tmp_path / "kept").iterdir())) == 2


def test_a_text_that_cannot_be_encoded_is_named(tmp_path: Path) -> None:
    class Picky(Counting):
        def encode(self, texts):  # type: ignore[no-untyped-def]
            if "y" in texts:
                raise ValueError("no")
            return super().encode(texts)

    rows = read_rows(write(tmp_path, "text,category\nx,a\ny,a\n"))
    with pytest.raises(TableError, match=r"rows\.csv, line 3: the encoder"):
        encode(Picky(), [rows])
