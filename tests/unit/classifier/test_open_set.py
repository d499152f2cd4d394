"""Without exemplars of "none": what is unlike all that is known, and how sure that is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import logsumexp

from marketplace_ai.classifier.calibration import Calibration
from marketplace_ai.classifier.open_set import KNOWN_REJECTED, MIN_ROWS, OpenSet
from marketplace_ai.classifier.opinion_pool import ModelScores

CLASSES = 4
#: The column of "none", of which there is no exemplar.
NONE = CLASSES
PRIOR = np.log(np.full(CLASSES + 1, 1 / CLASSES))


def scored(rows: int, seed: int, spread: float = 1.0) -> tuple[ModelScores, np.ndarray]:
    """Known rows: each of a class that both heads prefer, a third of them hardly.

    ``spread``: of the log densities, which an encoder with vectors near to each other makes small.
    """
    random = np.random.default_rng(seed)
    codes = random.integers(0, CLASSES, rows)
    sure = np.where(np.arange(rows) % 3, 4.0, 0.5)[:, None] * np.eye(CLASSES)[codes]
    none = np.full((rows, 1), -np.inf)
    density = spread * (random.standard_normal((rows, 1)) + np.eye(CLASSES)[codes])
    heads = [
        np.hstack([random.standard_normal((rows, CLASSES)) + sure, np.full((rows, 1), np.nan)])
        for _ in range(2)
    ]
    return ModelScores(np.hstack([density, none]), *heads, random.random(rows)), codes


@pytest.mark.parametrize("spread", [0.05, 0.2, 1.0, 5.0])
@pytest.mark.parametrize("stream", [True, False])
def test_few_known_rows_are_taken_for_none_however_small_the_spread_of_their_densities(
    spread: float, stream: bool
) -> None:
    """An ambiguous row whose density is a little low is a question for a person, not "none"."""
    rows, codes = scored(3000, seed=1, spread=spread)
    fitted = Calibration.fit(rows, codes, PRIOR, NONE, stream=stream)
    for each in (rows, scored(3000, seed=2, spread=spread)[0]):
        rejected = fitted.scores(each, NONE).first_choice == NONE
        assert 0.005 < rejected.mean() < 0.03


def test_what_is_far_is_none_and_what_is_doubtful_as_well_needs_less_distance() -> None:
    rows, codes = scored(3000, seed=1)
    fitted = Calibration.fit(rows, codes, PRIOR, NONE, stream=False)
    far = fitted.scores(replace(rows, log_density=rows.log_density - 1000), NONE)
    assert (far.first_choice == NONE).all()
    best = fitted.scores(rows, NONE).pooled[:, :NONE].argmax(axis=1)
    assert (far.pooled[:, :NONE].argmax(axis=1) == best).all()  # what a person is shown next
    # As far as one known row in twenty, once with a clear category and once without any.
    open_set = fitted.opinion_pool.open_set
    assert open_set is not None
    density = np.full(2, np.quantile(logsumexp(rows.log_density, axis=1), 0.05))
    clear, doubtful = open_set.excess(density, np.array([0.99, 0.26]))
    assert clear < 0 < doubtful


def test_strangers_among_the_labeled_rows_do_not_move_the_limit() -> None:
    """Rows labeled "none", and those of a category without exemplars, are not known."""
    rows, codes = scored(900, seed=1)
    strange = replace(rows, log_density=rows.log_density - 20)
    together = ModelScores.concatenate([rows, strange, strange])
    labels = np.concatenate([codes, np.full(900, NONE), np.full(900, -1)])
    alone = Calibration.fit(rows, codes, PRIOR, NONE, stream=False).opinion_pool.open_set
    mixed = Calibration.fit(together, labels, PRIOR, NONE, stream=False).opinion_pool.open_set
    assert alone is not None and mixed is not None
    assert mixed.limit == pytest.approx(alone.limit)
    np.testing.assert_allclose(mixed.center, alone.center)


def test_none_is_as_likely_as_not_at_the_limit_and_surer_beyond() -> None:
    rows, codes = scored(3000, seed=1)
    fitted = Calibration.fit(rows, codes, PRIOR, NONE, stream=False)
    probabilities = []
    for away in (0.0, 2.0, 4.0, 40.0):
        there = replace(rows, log_density=rows.log_density - away)
        scores = fitted.scores(there, NONE)
        none = scores.first_choice == NONE
        open_set = fitted.opinion_pool.open_set
        assert open_set is not None
        assert (scores.probability[none] >= 0.5).all()
        probabilities.append(scores.probability[none].mean())
    assert probabilities == sorted(probabilities)
    assert probabilities[0] < 0.7
    assert probabilities[-1] > 0.99


def test_where_nothing_votes_any_more_everything_is_none() -> None:
    rows, codes = scored(300, seed=1)
    fitted = Calibration.fit(rows, codes, PRIOR, NONE, stream=False)
    nothing = replace(rows, log_density=np.full_like(rows.log_density, -np.inf))
    scores = fitted.scores(nothing, NONE)
    assert (scores.first_choice == NONE).all()
    np.testing.assert_allclose(scores.probability, 1, atol=0.01)


def test_where_all_known_rows_are_certain_a_nearly_certain_one_is_not_strange() -> None:
    random = np.random.default_rng(1)
    fitted = OpenSet.fit(random.standard_normal(1000), 1 - 1e-6 * random.random(1000))
    assert fitted is not None
    assert fitted.excess(np.zeros(1), np.array([0.9]))[0] < 0
    assert fitted.excess(np.zeros(1), np.array([0.1]))[0] > 0


def test_what_is_like_a_category_of_few_exemplars_is_as_near_as_what_is_like_a_large_one() -> None:
    """The log density of a class is a mean over its exemplars; its frequency adds nothing."""
    rows, codes = scored(3000, seed=1)
    rare = np.log(np.array([0.97, 0.01, 0.01, 0.01, 1e-4]))
    even = Calibration.fit(rows, codes, PRIOR, NONE, stream=False).opinion_pool.open_set
    uneven = Calibration.fit(rows, codes, rare, NONE, stream=False).opinion_pool.open_set
    assert even is not None and uneven is not None
    np.testing.assert_allclose(uneven.center[0], even.center[0])


def test_exemplars_of_none_take_its_place() -> None:
    rows, codes = scored(300, seed=1)
    density = rows.log_density.copy()
    density[:, NONE] = -3.0
    fitted = Calibration.fit(replace(rows, log_density=density), codes, PRIOR, NONE, stream=False)
    assert fitted.opinion_pool.open_set is None


@pytest.mark.parametrize("rows", [0, 1, 2, MIN_ROWS - 1])
def test_a_few_known_rows_make_nothing_strange(rows: int) -> None:
    """One exemplar is a median without a spread: every other posting would be "none"."""
    assert OpenSet.fit(np.zeros(rows), np.full(rows, 0.9)) is None
    assert OpenSet.fit(np.full(MIN_ROWS, -np.inf), np.full(MIN_ROWS, 0.5)) is None
    alike = OpenSet.fit(np.zeros(MIN_ROWS), np.full(MIN_ROWS, 0.9))
    assert alike is not None
    assert alike.excess(np.zeros(1), np.full(1, 0.9))[0] == pytest.approx(0)


def test_it_is_the_same_after_it_was_stored() -> None:
    random = np.random.default_rng(1)
    fitted = OpenSet.fit(random.standard_normal(500), random.random(500))
    assert fitted is not None
    density, best = random.standard_normal(50) - 1, random.random(50)
    read = OpenSet.from_dict(fitted.as_dict())
    np.testing.assert_array_equal(read.excess(density, best), fitted.excess(density, best))
    assert (fitted.excess(density, best) > 0).mean() > KNOWN_REJECTED
