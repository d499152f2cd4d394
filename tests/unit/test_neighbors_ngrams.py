"""Text features: what they see alike, and what they survive."""

from __future__ import annotations

import numpy as np
import pytest

from marketplace_ai.neighbors.ngrams import BODY_WEIGHT, BUCKETS, NgramFeatures

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
