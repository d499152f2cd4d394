"""Held-out rows scored with several sets of votes at a time."""

from __future__ import annotations

import numpy as np

from marketplace_ai.classifier.exemplar_model import ExemplarModel
from marketplace_ai.classifier.linear_heads import to_class_ids
from marketplace_ai.condensing import held_out_loss
from tests.unit.classifier.factories import TRADES, world


def test_each_set_scores_as_an_index_with_these_votes_alone() -> None:
    exemplars, rows = world(20, 20, seed=1), world(17, 3, seed=2)
    classes = (*sorted(TRADES), None)
    codes = to_class_ids(exemplars.labels, classes)
    model = ExemplarModel.fit(exemplars, classes, 0, np.zeros(len(classes), dtype=bool))
    sets = np.random.default_rng(0).integers(1, 5, len(exemplars))
    sets[sets == 3] = 2  # so that two sets are the same
    sets[codes == 1] = 2  # the smaller sets have none of this one
    done: list[int] = []
    found = held_out_loss.score(model, exemplars, codes, sets, rows, done.append)
    assert len(found) == 4
    assert sum(done) == len(rows)
    for number, scores in enumerate(found):
        own = exemplars.take(np.flatnonzero(sets > number))
        expected = model.score_rows(model.index(own), rows)
        np.testing.assert_allclose(scores.log_density, expected.log_density, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(scores.nearest, expected.nearest, atol=1e-6)
        np.testing.assert_allclose(scores.by_vector, expected.by_vector, atol=1e-5)
        np.testing.assert_allclose(scores.by_text, expected.by_text, atol=1e-5)
