"""Calibration over patterns that do not all know the same labels."""

from __future__ import annotations

import numpy as np
import pytest

from marketplace_ai.deciding import Classifier, Labelled
from marketplace_ai.deciding.calibration import Calibration, Evidence

from .deciding_world import DIMENSION, world

NONE = 2


def evidence(seed: int, rows: int = 100) -> tuple[Evidence, np.ndarray]:
    """Three labels, the last of them "none of these"; the answer's margin is 1 higher."""
    random = np.random.default_rng(seed)
    codes = random.integers(0, 3, rows)
    margins = random.standard_normal((rows, 3)) + np.eye(3)[codes]
    return Evidence(random.standard_normal((rows, 3)), margins, random.random(rows)), codes


def with_lone_exemplar(exemplars: Labelled, place: int) -> Labelled:
    """The same exemplars and, as row ``place``, the only one of its category."""
    vector = np.eye(DIMENSION, dtype=np.float32)[7]
    texts, labels = [*exemplars.texts], [*exemplars.labels]
    texts.insert(place, "stemme piano hjemme")
    labels.insert(place, "pianostemming")
    return Labelled(texts, np.insert(exemplars.vectors, place, vector, axis=0), labels)


@pytest.mark.parametrize("first_row", [[0.5, 1.0, -0.5], [np.nan, 1.0, -0.5], [np.nan] * 3])
def test_a_row_scores_the_same_alone_and_among_rows_with_other_unknown_labels(
    first_row: list[float],
) -> None:
    known, codes = evidence(seed=1)
    fitted = Calibration.fit(known, codes, np.log(np.full(3, 1 / 3)), NONE)
    margins = known.margins.copy()
    margins[:3] = [first_row, [0.2, np.nan, 0.1], [np.nan] * 3]
    mixed = Evidence(known.log_density, margins, known.nearest)
    together = fitted.scores(mixed, NONE)
    np.testing.assert_allclose(together.pooled.sum(axis=1), 1)
    np.testing.assert_allclose(together.own[2], together.voted[2])
    assert together.own[1, 1] == pytest.approx(together.voted[1, 1])
    for row in range(5):
        alone = fitted.scores(mixed.take(np.array([row])), NONE)
        np.testing.assert_allclose(together.own[row], alone.own[0])
        np.testing.assert_allclose(together.probability[row], alone.probability[0])


def test_a_label_unknown_to_one_row_still_sharpens_the_others() -> None:
    whole, codes = evidence(seed=2)
    margins = whole.margins.copy()
    margins[np.arange(3), codes[:3]] = np.nan
    margins[np.arange(3, 6), (codes[3:6] + 1) % 3] = np.nan
    gaps = Evidence(whole.log_density, margins, whole.nearest)
    prior = np.log(np.full(3, 1 / 3))
    expected = Calibration.fit(whole, codes, prior, NONE).temperature
    found = Calibration.fit(gaps, codes, prior, NONE).temperature
    assert found == pytest.approx(expected, rel=0.2)


@pytest.mark.parametrize("place", [0, 60, 120])
@pytest.mark.parametrize("calibrated", [False, True])
def test_a_category_of_one_exemplar_is_fitted_like_any_other(place: int, calibrated: bool) -> None:
    """Its fold's pattern has never heard of it; with postings, one is the exemplar's twin."""
    exemplars = with_lone_exemplar(world(24, 24, seed=1), place)
    postings = with_lone_exemplar(world(30, 30, seed=2), place) if calibrated else None
    fitted = Classifier.fit(exemplars, postings)
    index = fitted.ground.index(exemplars)
    lone = exemplars.take(np.array([place]))
    verdict = fitted.decide(index, lone.vectors, lone.texts)[0]
    assert verdict.best_category == "pianostemming"
    assert 0 <= verdict.probability <= 1
    assert fitted.promise.first_choice is not None
    assert fitted.promise.first_choice > 0.9
