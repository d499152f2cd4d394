"""Any string can be prepared; what it says stays."""

import re
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from marketplace_ai.text.normalize import digest, is_blank, normalize

ANYTHING = st.text(st.characters(codec=None))  # lone surrogates and NUL included
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"


@given(ANYTHING, st.integers(1, 60))
def test_any_string_becomes_clean_and_encodable_within_the_limit(text: str, limit: int) -> None:
    prepared = normalize(text, limit)

    assert len(prepared) <= limit
    prepared.encode("utf-8")
    assert not re.search(r"[^\S \n]|\s\s|^\s|\s\Z", prepared)
    assert not any(
        unicodedata.category(character) in ("Cc", "Cs")
        for character in prepared
        if character != "\n"
    )
    assert unicodedata.is_normalized("NFC", prepared)


@given(ANYTHING, st.integers(1, 60))
def test_preparing_twice_changes_nothing(text: str, limit: int) -> None:
    once = normalize(text, limit)

    assert normalize(once, limit) == once
    assert digest(normalize(once, limit)) == digest(once)


@given(st.text(st.sampled_from("abcæøåÆØÅ0123½²€-.,!? ")))
def test_ordinary_text_keeps_every_character(text: str) -> None:
    assert normalize(text) == " ".join(text.split())


def test_controls_and_all_kinds_of_blanks_become_single_spaces() -> None:
    assert normalize("\0Male\t stue\x07\x85ca.\u00a0\u202840 m²\x7f ") == "Male stue ca. 40 m²"


def test_a_line_end_stays_one_so_that_the_title_can_be_told() -> None:
    assert normalize("Male stue \r\n\n\t ca. 40 m²\rHaster\n") == "Male stue\nca. 40 m²\nHaster"


def test_surrogates_are_joined_where_they_are_a_pair_and_replaced_where_not() -> None:
    assert normalize("hus \ud83c\udfe0 \ud83c og \udfe0") == "hus 🏠 \ufffd og \ufffd"


def test_letters_typed_as_letter_and_accent_are_joined_and_nothing_else_is_changed() -> None:
    assert normalize("kafe\u0301 a\u030a ½ ﬁ ㎡") == "kafé å ½ ﬁ ㎡"


def test_invisible_characters_inside_a_word_do_not_make_it_another_word() -> None:
    assert normalize("\ufeffvaske\u00admaskin vaske\u200bmaskin") == "vaskemaskin vaskemaskin"


def test_a_cut_leaves_clusters_whole() -> None:
    assert normalize(f"abc{FAMILY}", 6) == "abc"
    assert normalize(f"abc{FAMILY}", 8) == f"abc{FAMILY}"
    assert normalize("ab\U0001f44d\U0001f3fd", 3) == "ab"
    assert normalize("abx\u0323\u0308", 3) == "ab"
    assert normalize("abcd ef", 5) == "abcd"


def test_a_cut_through_endless_marks_still_keeps_the_limit() -> None:
    assert len(normalize("a" + "\u0323" * 100, 50)) == 50


def test_only_the_beginning_of_an_endless_text_is_read() -> None:
    class Counting(str):
        read = 0

        def __getitem__(self, key: object) -> str:
            taken = super().__getitem__(key)
            Counting.read += len(taken)
            return taken

    assert len(normalize(Counting("Flislegging \0\ud800" * 1_000_000))) <= 4000
    assert Counting.read == 32_000


def test_digest_tells_texts_apart_and_is_the_same_tomorrow() -> None:
    assert digest("Male stue").hex() == "fe092e8066e124c622ebf25f76d5d0cc"
    assert len({digest(text) for text in ("", "a", "A", "a b", "ab")}) == 5


def test_blank_is_what_has_neither_letter_nor_digit() -> None:
    assert all(map(is_blank, ("", " ", "?!…", "🏠", "\ufffd", "---")))
    assert not any(map(is_blank, ("a", "7", "½", "..å..", "你")))
