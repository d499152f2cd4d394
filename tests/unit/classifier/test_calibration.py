"""Calibration over patterns that do not all know the same labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from marketplace_ai.classifier import Classifier, LabeledTexts
from marketplace_ai.classifier.calibration import Calibration
from marketplace_ai.classifier.opinion_pool import ModelScores, OpinionPool

from .factories import DIMENSION, world

NONE = 2
PRIOR = np.log(np.full(3, 1 / 3))


def evidence(seed: int, rows: int = 100) -> tuple[ModelScores, np.ndarray]:
    """Three labels, the last of them "none of these"; patterns give the answer 1 more."""
    random = np.random.default_rng(seed)
    codes = random.integers(0, 3, rows)
    vote, vector, text = (random.standard_normal((rows, 3)) for _ in range(3))
    right = np.eye(3)[codes]
    return ModelScores(vote, vector + right, text + right, random.random(rows)), codes


def with_lone_exemplar(exemplars: LabeledTexts, place: int) -> LabeledTexts:
    """The same exemplars and, as row ``place``, the only one of its category."""
    vector = np.eye(DIMENSION, dtype=np.float32)[7]
    texts, labels = [*exemplars.texts], [*exemplars.labels]
    texts.insert(place, "stemme piano hjemme")
    labels.insert(place, "pianostemming")
    return LabeledTexts(texts, np.insert(exemplars.vectors, place, vector, axis=0), labels)


@pytest.mark.parametrize("first_row", [[0.5, 1.0, -0.5], [np.nan, 1.0, -0.5], [np.nan] * 3])
def test_a_row_scores_the_same_alone_and_among_rows_with_other_unknown_labels(
    first_row: list[float],
) -> None:
    known, codes = evidence(seed=1)
    fitted = Calibration.fit(known, codes, PRIOR, NONE, stream=True)
    by_vector = known.by_vector.copy()
    by_vector[:3] = [first_row, [0.2, np.nan, 0.1], [np.nan] * 3]
    mixed = replace(known, by_vector=by_vector)
    together = fitted.scores(mixed, NONE)
    voted, own = together.parts[:2]
    np.testing.assert_allclose(together.pooled.sum(axis=1), 1)
    np.testing.assert_allclose(own[2], voted[2])
    assert own[1, 1] == pytest.approx(voted[1, 1])
    for row in range(5):
        alone = fitted.scores(mixed.take(np.array([row])), NONE)
        np.testing.assert_allclose(together.parts[:, row], alone.parts[:, 0])
        np.testing.assert_allclose(together.probability[row], alone.probability[0])


def test_a_label_unknown_to_one_row_still_weighs_the_others() -> None:
    whole, codes = evidence(seed=2)
    by_vector = whole.by_vector.copy()
    by_vector[np.arange(3), codes[:3]] = np.nan
    by_vector[np.arange(3, 6), (codes[3:6] + 1) % 3] = np.nan
    gaps = replace(whole, by_vector=by_vector)
    expected = OpinionPool.fit(whole, codes, PRIOR, NONE, stream=True).weights
    found = OpinionPool.fit(gaps, codes, PRIOR, NONE, stream=True).weights
    np.testing.assert_allclose(found, expected, atol=0.15)


def test_a_part_that_knows_nothing_is_weighed_down_and_one_that_knows_is_heard() -> None:
    rows, codes = evidence(seed=3, rows=2000)
    noise, vector, text, _ = OpinionPool.fit(rows, codes, PRIOR, NONE, stream=True).weights
    assert noise < 0.1  # the vote is noise here
    assert vector == pytest.approx(1, abs=0.2)  # the likelihood ratio of a shift by 1 in N(0, 1)
    assert text == pytest.approx(1, abs=0.2)


def test_the_stream_says_how_often_a_label_comes_in_not_the_exemplars() -> None:
    codes = np.repeat([0, 1, 2], [900, 60, 40])
    blank = np.zeros((1000, 3))
    rows = ModelScores(blank, blank, blank, np.zeros(1000))
    streamed = OpinionPool.fit(rows, codes, PRIOR, NONE, stream=True)
    pooled = streamed.pooled(streamed.parts(rows), rows, NONE)[0]
    np.testing.assert_allclose(pooled, [0.9, 0.06, 0.04], atol=0.02)
    unknown = OpinionPool.fit(rows, codes, PRIOR, NONE, stream=False)
    pooled = unknown.pooled(unknown.parts(rows), rows, NONE)[0]
    np.testing.assert_allclose(pooled, 1 / 3)


@pytest.mark.parametrize("place", [0, 60, 120])
@pytest.mark.parametrize("calibrated", [False, True])
@pytest.mark.slow
def test_a_category_of_one_exemplar_is_fitted_like_any_other(place: int, calibrated: bool) -> None:
    """Its fold's pattern has never heard of it; with postings, one is the exemplar's twin."""
    exemplars = with_lone_exemplar(world(24, 24, seed=1), place)
    postings = with_lone_exemplar(world(30, 30, seed=2), place) if calibrated else None
    fitted = Classifier.fit(exemplars, postings)
    index = fitted.exemplar_model.index(exemplars)
    lone = exemplars.take(np.array([place]))
    verdict = fitted.predict(index, lone.vectors, lone.texts)[0]
    assert verdict.best_category == "pianostemming"
    assert 0 <= verdict.probability <= 1
    assert fitted.guarantee.first_choice is not None
    assert fitted.guarantee.first_choice > 0.9


def test_rows_that_are_all_right_have_a_curve_too_and_one_error_changes_it_little() -> None:
    """Else the fold that holds the only error would be scored on another scale."""
    known, codes = evidence(seed=6, rows=300)
    sure = replace(known, by_vector=known.by_vector + 12 * np.eye(3)[codes])
    answers = codes.copy()
    found = []
    for errors in (0, 1):
        answers[:errors] = (codes[:errors] + 1) % 2
        fitted = Calibration.fit(sure, answers, PRIOR, NONE, stream=False)
        found.append(fitted.scores(sure, NONE).probability)
    assert found[0].min() > 0.97
    assert found[0].max() < 1 - 1 / 1000  # 300 rows do not prove more
    np.testing.assert_allclose(found[0], found[1], atol=0.03)


def test_a_label_whose_exemplars_are_all_taken_out_is_silent() -> None:
    known, codes = evidence(seed=7)
    fitted = Calibration.fit(known, codes, PRIOR, NONE, stream=False)
    silent = known.log_density.copy()
    silent[:, 1] = -np.inf
    pooled = fitted.scores(replace(known, log_density=silent), NONE).pooled
    assert (pooled[:, 1] == 0).all()
    np.testing.assert_allclose(pooled.sum(axis=1), 1)
