"""The vote: who answers how strongly, whatever the number of exemplars."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace_ai.classifier.predict import largest
from marketplace_ai.classifier.vote import SHARPNESS, TEXT_WEIGHT, description_weight, vote


def test_a_label_answers_by_the_mean_of_its_exemplars_not_by_their_number() -> None:
    similarity = np.array([[0.4] * 50 + [0.4]], dtype=np.float32)
    cast = vote(similarity, np.array([0] * 50 + [1]), num_classes=2)
    assert cast.log_density[0, 0] == pytest.approx(cast.log_density[0, 1])
    assert cast.exemplar_mass[0] == pytest.approx([50, 1])


def test_a_nearer_exemplar_counts_more_as_the_sharpness_says() -> None:
    cast = vote(np.array([[0.5, 0.4]], dtype=np.float32), np.array([1, 0]), num_classes=2)
    lead = cast.log_density[0, 1] - cast.log_density[0, 0]
    assert lead == pytest.approx(0.1 * SHARPNESS * (1 + TEXT_WEIGHT), rel=1e-5)
    assert cast.nearest[0] == pytest.approx(0.5)


def test_a_label_without_exemplars_is_silent_and_columns_may_come_in_any_order() -> None:
    random = np.random.default_rng(0)
    similarity = random.random((5, 30)).astype(np.float32)
    codes = random.choice([0, 2, 3], 30)
    cast = vote(similarity, codes, num_classes=4)
    assert np.isneginf(cast.log_density[:, 1]).all()
    for label in (0, 2, 3):
        sums = cast.kernel[:, codes == label].sum(axis=1)
        np.testing.assert_allclose(cast.exemplar_mass[:, label], sums, rtol=1e-5)


def test_densities_of_postings_compare_on_one_scale() -> None:
    """A posting far from everything has a low density, though its nearest gets weight 1."""
    near, far = np.array([[0.9], [0.1]], dtype=np.float32)
    cast = vote(np.vstack([near, far]), np.array([0]), num_classes=1)
    assert cast.kernel[0] == cast.kernel[1] == 1
    assert cast.log_density[0, 0] > cast.log_density[1, 0] + 10


def test_no_exemplars_say_nothing() -> None:
    cast = vote(np.zeros((3, 0), np.float32), np.zeros(0, np.intp), num_classes=2)
    assert np.isneginf(cast.log_density).all()
    assert cast.exemplar_mass.shape == (3, 2)


@given(st.integers(0, 9000), st.integers(1, 30), st.integers(1, 500), st.integers(0, 99))
def test_the_largest_are_those_of_a_full_sort(
    size: int, count: int, distinct: int, seed: int
) -> None:
    values = np.random.default_rng(seed).integers(0, distinct, size).astype(np.float32)
    expected = np.argsort(-values, kind="stable")[:count]
    np.testing.assert_array_equal(largest(values, count), expected)


def test_a_description_has_its_weight_beside_exemplars() -> None:
    similarity = np.array([[0.9, 0.5, 0.7, 0.2]], dtype=np.float32)
    codes, described = np.array([0, 0, 0, 1]), np.array([False, False, True, True])
    both = vote(similarity, codes, 3, described)
    exemplars = vote(similarity[:, :2], codes[:2], 3)
    words = vote(similarity[:, 2:], codes[2:], 3)
    (weight,) = description_weight(np.array([2]))
    mixed = (1 - weight) * exemplars.log_density[0, 0] + weight * words.log_density[0, 0]
    assert both.log_density[0, 0] == pytest.approx(mixed, abs=1e-5)
    assert both.log_density[0, 1] == pytest.approx(words.log_density[0, 1], abs=1e-5)
    assert both.log_density[0, 2] == -np.inf
    # All of them are shown, so all of them share.
    shared = both.exemplar_mass[0] + both.description_mass[0]
    assert shared == pytest.approx(vote(similarity, codes, 3).exemplar_mass[0])
