from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marketplace_ai.text.csv_files import TableError
from marketplace_ai.text.normalize import is_blank
from marketplace_ai.text.reading_notes import told_to
from marketplace_ai.training.data.row_files import (
    Pair,
    ScoredPair,
    Triplet,
    read_pairs,
    read_scored,
    read_triplets,
    write,
)

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")).filter(
    lambda text: not is_blank(text)
)
categories = st.none() | texts
on_a_file = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def error_message(directory: Path, read: Callable[[Path], Any], content: str | bytes) -> str:
    file = directory / "rows.jsonl"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(TableError) as caught:
        read(file)
    message = str(caught.value)
    assert message.startswith(str(file))
    return message.removeprefix(str(file))


@pytest.mark.slow
@on_a_file
@given(
    triplets=st.lists(st.builds(Triplet, texts, texts, texts, categories), min_size=1),
    pairs=st.lists(st.builds(Pair, texts, texts, categories), min_size=1),
    scored=st.lists(st.builds(ScoredPair, texts, texts, st.floats(0, 1)), min_size=1),
)
def test_written_rows_are_read_back(
    tmp_path: Path, triplets: list[Triplet], pairs: list[Pair], scored: list[ScoredPair]
) -> None:
    file = tmp_path / "rows.jsonl"
    write(file, triplets)
    assert read_triplets(file) == triplets
    write(file, pairs)
    assert read_pairs(file) == pairs
    write(file, scored)
    assert read_scored(file) == scored


def test_a_file_of_another_program_is_read(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(
        '\ufeff{"anchor": "Male hus", "positive": "Maling av hus", "source": 3}\r\n'
        '\n{"positive": "Klippe\\u2028hekk\u2028nå", "anchor": "Hekk", "category": "hekk"}',
        encoding="utf-8",
    )
    assert read_pairs(file) == [
        Pair("Male hus", "Maling av hus"),
        Pair("Hekk", "Klippe\u2028hekk\u2028nå", "hekk"),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Male hus", "not a JSON object, which every line must be: Male hus."),
        ('["a", "b", 0.5]', "not a JSON object"),
        ("[" * 100_000, "not a JSON object"),
        ("{}", "the key 'sentence1' is missing; the line has nothing"),
        (
            '{"sentence1": "a", "score": 1}',
            "the key 'sentence2' is missing; the line has 'sentence1', 'score'",
        ),
        ('{"sentence1": 3, "sentence2": "b", "score": 1}', "'sentence1' must be a text in quotes"),
        ('{"sentence1": "a", "sentence2": null, "score": 1}', "'sentence2' must be a text"),
        ('{"sentence1": "a", "sentence2": " \\n", "score": 1}', "'sentence2' is empty"),
        ('{"sentence1": "a\\ud800", "sentence2": "b", "score": 1}', "'sentence1' has half a"),
        ('{"sentence1": "a", "sentence2": "b"}', "the key 'score' is missing"),
        ('{"sentence1": "a", "sentence2": "b", "score": "1"}', "'score' must be a number"),
        ('{"sentence1": "a", "sentence2": "b", "score": true}', "'score' must be a number"),
        ('{"sentence1": "a", "sentence2": "b", "score": 1.01}', "must lie between 0 and 1"),
        (
            '{"sentence1": "a", "sentence2": "b", "score": -1}',
            "must lie between 0 and 1, not at -1",
        ),
        ('{"sentence1": "a", "sentence2": "b", "score": NaN}', "must lie between 0 and 1"),
    ],
)
def test_an_error_names_the_line(tmp_path: Path, line: str, message: str) -> None:
    good = json.dumps({"sentence1": "a", "sentence2": "b", "score": 0})
    error = error_message(tmp_path, read_scored, f"{good}\n\n{line}\n")
    assert error.startswith(", line 3: ")
    assert message in error


@pytest.mark.parametrize("read", [read_triplets, read_pairs, read_scored])
def test_a_file_without_rows_is_refused(tmp_path: Path, read: Callable[[Path], Any]) -> None:
    assert error_message(tmp_path, read, " \n\n").startswith(": the file is empty")
    assert error_message(tmp_path, read, "Bærum\n".encode("cp865")).startswith(
        ", line 1: byte 0x91"
    )
    with pytest.raises(TableError, match=r"nowhere\.jsonl: No such file"):
        read(tmp_path / "nowhere.jsonl")


def test_each_text_of_a_triplet_and_its_category_are_checked(tmp_path: Path) -> None:
    complete = {"anchor": "a", "positive": "b", "negative": "c"}
    for key in complete:
        row = {**complete, key: 1}
        assert f"{key!r} must be a text" in error_message(tmp_path, read_triplets, json.dumps(row))
    row = {**complete, "category": 7}
    assert "'category' must be a text in quotes, not 7" in error_message(
        tmp_path, read_triplets, json.dumps(row)
    )


def test_triplets_and_pairs_are_read_from_csv_too(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("anchor,positive,negative,category\na,b,c,\nd,e,f,g\n", encoding="utf-8")
    assert read_triplets(file) == [Triplet("a", "b", "c"), Triplet("d", "e", "f", "g")]
    assert read_pairs(file) == [Pair("a", "b"), Pair("d", "e", "g")]
    file.write_text("anchor,positive,negative\na,b,c\na,,c\nd\n,b,c\n", encoding="utf-8")
    with pytest.raises(TableError) as caught:
        read_triplets(file)
    assert "line 3: the text of 'positive' is empty. Correct or remove it." in str(caught.value)
    assert "line 4: 1 cells where the header has 3" in str(caught.value)
    assert "line 5: the text of 'anchor' is empty" in str(caught.value)


def test_rows_with_a_text_that_is_nothing_to_go_by_are_left_out_and_told(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("anchor,positive\na,b\n...,b\na,https://a.no/1\n", encoding="utf-8")
    told: list[str] = []
    with told_to(told.append):
        assert read_pairs(file) == [Pair("a", "b")]
    assert told == [
        f"{file}: 2 of 3 texts are left out: they are nothing to go by, without a letter or digit "
        "after scrubbing (lines 3, 4)."
    ]


def test_a_file_of_nothing_to_go_by_is_refused(tmp_path: Path) -> None:
    message = error_message(tmp_path, read_pairs, '{"anchor": "...", "positive": "a"}\n')
    assert message == ": no row is left that something could be learned from."


def test_all_bad_lines_are_named_at_once(tmp_path: Path) -> None:
    row = '{"anchor": "a", "positive": "b"}'
    lines = f'{row}\nno\n{{"anchor": "a"}}\n{{"anchor": 1, "positive": "b"}}\n'
    message = error_message(tmp_path, read_pairs, lines)
    assert message.startswith(", line 2: not a JSON object, which every line must be: no.")
    assert ", line 3: the key 'positive' is missing" in message
    assert ", line 4: 'anchor' must be a text" in message
    assert message.endswith("3 of 4 rows cannot be used.")


def test_a_table_without_rows_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("anchor,positive,negative\n", encoding="utf-8")
    with pytest.raises(TableError, match="no row below the header"):
        read_triplets(file)


def test_bad_lines_are_skipped_if_asked(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    good = '{"anchor": "på tak", "positive": "tak over dør"}'
    broken = good.encode().replace("på".encode(), b"p\xe5")
    file.write_bytes(b"\n".join([good.encode(), b"no", broken, good.encode()]))
    with pytest.raises(TableError) as caught:
        read_pairs(file)
    assert "line 2: not a JSON object" in str(caught.value)
    assert "line 3: the byte 0xe5 after" in str(caught.value)
    assert read_pairs(file, skip_bad=True) == [Pair("på tak", "tak over dør")] * 2
