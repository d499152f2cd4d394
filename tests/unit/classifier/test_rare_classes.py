"""Categories that have one or two exemplars while others have many."""

from __future__ import annotations

import numpy as np
import pytest

from marketplace_ai.classifier import Classifier, LabeledTexts
from marketplace_ai.classifier.linear_heads import rare_classes

DIMENSION = 32
NAMES = [f"kategori{number}" for number in range(6)]


def texts_of(counts: list[int], seed: int) -> LabeledTexts:
    """``counts`` texts of each of ``NAMES``: a direction and a word of its own, both blurred."""
    centers = np.random.default_rng(0).standard_normal((len(NAMES), DIMENSION))
    random = np.random.default_rng(seed)
    codes = np.repeat(np.arange(len(NAMES)), counts)
    vectors = centers[codes] + 1.3 * random.standard_normal((len(codes), DIMENSION))
    words = np.where(random.random(len(codes)) < 0.6, codes, random.integers(0, 6, len(codes)))
    texts = [f"ord{word * 7919 % 97:02d} sted{random.integers(500)}" for word in words]
    return LabeledTexts(texts, vectors.astype(np.float32), [NAMES[code] for code in codes])


@pytest.mark.parametrize(
    ("counts", "described", "rare"),
    [
        ([1, 24, 24, 24], [], [0]),
        ([2, 24, 24, 24], [], [0]),
        ([3, 24, 24, 24], [], []),
        ([3, 24, 24, 24], [0], [0]),
        ([11, 24, 24, 24], [0], [0]),
        ([12, 25, 25, 25], [0], []),
        ([2, 4, 4, 4], [], []),  # half of what the others have
        ([2, 5, 5, 5], [], [0]),
        ([1, 1, 1, 1], [], []),
        ([1, 0, 24, 24], [], [0]),
        ([1, 1, 24], [], []),  # one other alone would be left
    ],
)
def test_what_has_few_exemplars_beside_many_is_rare(
    counts: list[int], described: list[int], rare: list[int]
) -> None:
    codes = np.repeat(np.arange(len(counts)), counts)
    has_description = np.isin(np.arange(len(counts)), described)
    assert np.flatnonzero(rare_classes(codes, has_description)).tolist() == rare


@pytest.mark.parametrize("few", [1, 2])
def test_a_category_of_one_or_two_exemplars_is_chosen_as_often_as_by_the_vote_alone(
    few: int,
) -> None:
    exemplars = texts_of([few, 24, 24, 24, 24, 24], seed=1)
    postings = texts_of([100, 0, 0, 0, 0, 0], seed=2)
    fitted = Classifier.fit(exemplars)
    index = fitted.exemplar_model.index(exemplars)
    verdicts = fitted.predict(index, postings.vectors, postings.texts)
    scored = fitted.exemplar_model.score(index, postings.vectors, postings.texts)
    voted = scored.vote.log_density.argmax(axis=1) == fitted.classes.index(NAMES[0])
    chosen = np.array([verdict.best_category == NAMES[0] for verdict in verdicts])
    assert 0.3 < voted.mean() < 1
    assert chosen.mean() >= voted.mean()


def test_a_fold_takes_exemplars_away_and_no_heads() -> None:
    """Three exemplars are enough for heads, so what is judged by two of them has heads, too."""
    fitted = Classifier.fit(texts_of([3, 24, 24, 24, 24, 24], seed=1))
    assert fitted.out_of_fold is not None
    assert not np.isnan(fitted.out_of_fold.model_scores.by_vector[:, 0]).any()
