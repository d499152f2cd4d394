from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from marketplace_ai.text.contradictions import contradiction_sentence, find_contradictions
from marketplace_ai.text.normalize import same_text_key


def test_rows_of_one_text_that_agree_on_nothing_contradict_each_other() -> None:
    rows = [
        ("Male gjerdet", ("maling",)),
        ("Klippe gress", ("plen",)),
        ("MALE  gjerdet!", ("gjerde",)),
        ("klippe gress.", ("plen", "hage")),  # agrees on plen
        ("Hei", ()),
        ("hei", ("maling",)),
    ]
    texts, labels = zip(*rows, strict=True)
    found = find_contradictions(texts, labels, range(2, 8))
    assert [str(each) for each in found] == [
        "'Male gjerdet' is maling (2), gjerde (4)",
        "'Hei' is none (6), maling (7)",
    ]
    assert contradiction_sentence("f.csv", found, "Correct.") == (
        "f.csv: 2 texts have several labels; the first: 'Male gjerdet' is maling (2), gjerde (4). "
        "Correct."
    )


def test_texts_without_a_letter_are_each_their_own() -> None:
    assert not find_contradictions(["...", "???", "..."], [("a",), ("b",), ("a",)], range(3))


@given(st.text())
def test_case_blanks_and_punctuation_make_no_other_text(text: str) -> None:
    key = same_text_key(text)
    assert same_text_key(f"  {text} ") == key
    assert same_text_key(key) == key
    if any(map(str.isalnum, text)):
        assert same_text_key(f"{text}!!") == same_text_key(text.replace(" ", "  ")) == key
