"""Text features: what they see alike, and what they survive."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace_ai.classifier.ngrams import BODY_WEIGHT, BUCKETS, NgramFeatures

TEXTS = ["Male stue", "Maling av gang", "Bytte takrenner", "Legge parkett i stue"]


@pytest.fixture(scope="module")
def features() -> NgramFeatures:
    return NgramFeatures.fit(TEXTS)


def cosine(features: NgramFeatures, left: str, right: str) -> float:
    rows = features.transform([left, right])
    return float((rows[0] @ rows[1].T).toarray()[0, 0])


def test_rows_have_unit_length_and_equal_texts_cosine_one(features: NgramFeatures) -> None:
    rows = features.transform([*TEXTS, "En tittel\nog en lang forklaring under"])
    lengths = np.sqrt(rows.multiply(rows).sum(axis=1))
    assert lengths == pytest.approx(1, abs=1e-6)
    assert cosine(features, "Bytte takrenner", "bytte TAKRENNER") == pytest.approx(1, abs=1e-6)


def test_inflections_and_compounds_are_alike_and_other_words_are_not(
    features: NgramFeatures,
) -> None:
    assert cosine(features, "takrenne", "takrennene") > 0.6
    assert cosine(features, "takrenne", "hagegjerde") < 0.1


def test_a_rare_ngram_counts_more_than_a_common_one(features: NgramFeatures) -> None:
    assert cosine(features, "stue takrenner", "takrenner") > cosine(
        features, "stue takrenner", "stue"
    )


def test_the_title_outweighs_a_long_description(features: NgramFeatures) -> None:
    posting = "Bytte takrenner\n" + "Vi bor i et hus med stue, gang og parkett. " * 20
    title = cosine(features, posting, "Bytte takrenner")
    assert title > 1 / np.hypot(1, BODY_WEIGHT) - 0.1
    assert title > cosine(features, posting, "Legge parkett i stue")


def test_a_single_paragraph_is_no_title(features: NgramFeatures) -> None:
    paragraph = "Vi skal bytte takrenner på huset vårt. " * 8
    assert cosine(features, paragraph + "\nTakk", paragraph + "Takk") == pytest.approx(1, abs=1e-6)


def test_both_ways_to_write_an_accent_are_one(features: NgramFeatures) -> None:
    assert cosine(features, "m\u00e5le", "ma\u030ale") == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("text", ["", "   \n ", "\x00", "\ud800 lone", "🙂" * 50])
def test_strange_texts_give_finite_rows(features: NgramFeatures, text: str) -> None:
    rows = features.transform([text])
    assert rows.shape == (1, BUCKETS)
    assert np.isfinite(rows.data).all()


def test_the_fitted_state_is_one_plain_array(features: NgramFeatures) -> None:
    again = NgramFeatures(features.idf.copy())
    assert (again.transform(TEXTS) != features.transform(TEXTS)).nnz == 0
    with pytest.raises(ValueError, match="another version"):
        NgramFeatures(features.idf[:100])


WORDS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=80)


@given(texts=st.lists(WORDS, max_size=5), every=st.integers(1, 4))
@pytest.mark.slow
def test_parts_add_up_to_the_row_they_divide(
    features: NgramFeatures, texts: list[str], every: int
) -> None:
    def split(text: str) -> list[str]:
        words = text.split()
        return [" ".join(words[i : i + every]) for i in range(0, len(words), every)]

    divided = features.split_features(texts, split)
    assert (divided.rows != features.transform(texts)).nnz == 0
    assert (np.diff(divided.owner) >= 0).all()
    parts = divided.parts.multiply(divided.weights[divided.owner]).tocsr()
    for number in range(len(texts)):
        whole = parts[divided.owner == number].sum(axis=0)
        assert np.abs(np.asarray(whole - divided.rows[number])).max() < 1e-5


def test_a_part_in_the_title_has_the_titles_weight(features: NgramFeatures) -> None:
    divided = features.split_features(
        ["Male stue\nBytte takrenner"], lambda text: [text] if text else []
    )
    parts = divided.parts.multiply(divided.weights[divided.owner])
    title, body = np.sqrt(parts.multiply(parts).sum(axis=1)).ravel().tolist()[0]
    assert body == pytest.approx(BODY_WEIGHT * title, rel=0.05)
