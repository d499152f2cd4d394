"""The parts of a category's description, each of which votes by itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace_ai.text.description_parts import MAX_PARTS, description_parts
from marketplace_ai.text.normalize import description


def test_whole_names_scope_and_words_vote() -> None:
    text = "Pianostemming / Piano tuning\nStemme piano og flygel"
    assert description_parts(text) == [
        text, "Pianostemming", "Piano tuning", "Stemme piano og flygel", "Piano", "tuning",
        "Stemme", "flygel",
    ]  # fmt: skip


def test_a_single_word_is_one_part() -> None:
    assert description_parts("Felemaking") == ["Felemaking"]
    assert description_parts("") == description_parts(" \n ") == []


@pytest.mark.parametrize(
    ("text", "gone", "stays"),
    [
        ("Maling\nMale vegger, ikke tapetsering og sparkling", "tapet", "vegger"),
        ("Maling\nMale vegger (ikke tapet). Lakkere dører", "tapet", "dører"),
        ("Painting\nWalls and ceilings, but not facades; also doors", "facades", "doors"),
        ("Måleri\nMåla väggar men inte tapeter, lackera dörrar", "tapet", "dörrar"),
        ("Maling\nUnntatt fasader: innvendige vegger", "fasader", "innvendige"),
    ],
)
def test_what_is_excluded_is_in_no_part(text: str, gone: str, stays: str) -> None:
    parts = description_parts(text)
    assert not any(gone in part for part in parts)
    assert any(stays in part for part in parts)
    assert parts[0].startswith(text.partition("\n")[0])


@pytest.mark.parametrize("name", ["Ikke kategorisert", "Not in this list", "Ikke på listen"])
def test_a_name_that_is_nothing_but_an_exclusion_stays(name: str) -> None:
    assert description_parts(name)[0] == name
    assert description_parts(f"{name}\nAlt annet, ikke maling")[0] == f"{name}\nAlt annet"


def test_what_is_left_keeps_its_lines_and_no_lone_punctuation() -> None:
    text = "Maling / Painting (not facades)\nIkke fasader: innvendige vegger (ikke tak). Dører"
    assert description_parts(text)[:4] == [
        "Maling / Painting\ninnvendige vegger. Dører", "Maling", "Painting",
        "innvendige vegger. Dører",
    ]  # fmt: skip


def test_a_word_that_only_holds_not_excludes_nothing() -> None:
    assert "notatbok" in description_parts("Bokbinding\nBinde inn notatbok og rikkelig papir")


@given(st.lists(st.text(max_size=30), max_size=3), st.text(max_size=400))
def test_any_description_has_few_distinct_parts(names: list[str], scope: str) -> None:
    parts = description_parts(description(names, scope))
    assert len(parts) <= MAX_PARTS
    assert len({part.casefold() for part in parts}) == len(parts)
    assert all(part == part.strip() != "" for part in parts)
