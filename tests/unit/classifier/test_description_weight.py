"""What a description weighs beside a few exemplars."""

import numpy as np

from marketplace_ai.classifier.vote import description_weight, vote
from marketplace_ai.guarantee.minimum_counts import MIN_EXEMPLARS_FOR_HEAD


def test_it_falls_evenly_to_nothing_where_the_description_leaves() -> None:
    weights = description_weight(np.arange(MIN_EXEMPLARS_FOR_HEAD + 3))
    assert weights[0] == 1
    assert not weights[MIN_EXEMPLARS_FOR_HEAD:].any()
    assert np.allclose(np.diff(weights[: MIN_EXEMPLARS_FOR_HEAD + 1]), -1 / MIN_EXEMPLARS_FOR_HEAD)


def test_there_is_no_step_when_the_description_leaves() -> None:
    similarity = np.full((1, MIN_EXEMPLARS_FOR_HEAD + 1), 0.5, dtype=np.float32)
    similarity[0, -1] = 0.9  # the description
    codes = np.zeros(MIN_EXEMPLARS_FOR_HEAD + 1, dtype=np.intp)
    described = np.arange(len(codes)) == MIN_EXEMPLARS_FOR_HEAD
    beside = vote(similarity, codes, 1, described)
    without = vote(similarity[:, :-1], codes[:-1], 1)
    assert np.allclose(beside.log_density, without.log_density, atol=1e-4)
