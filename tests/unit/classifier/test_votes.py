"""Exemplars that teach and do not vote: they are in no index, neither at the fit nor afterwards."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from marketplace_ai.classifier import Classifier, LabeledTexts
from marketplace_ai.classifier.labeled import find_kin
from marketplace_ai.comparison.scoring import replay_current

from .factories import world

pytestmark = pytest.mark.slow


def unlike(rows: LabeledTexts) -> LabeledTexts:
    """The rows with texts that are no near-duplicates of any other."""
    random = np.random.default_rng(len(rows))
    texts = ["".join(random.choice(list("abcdefghijklmnop "), 30)) for _ in rows.texts]
    return LabeledTexts(texts, rows.vectors, rows.labels)


def test_labeled_postings_are_scored_by_the_votes_alone_and_heads_learn_from_all() -> None:
    exemplars, postings = world(20, 20, seed=1), unlike(world(15, 15, seed=2))
    votes = np.arange(len(exemplars)) % 2 == 0
    some = Classifier.fit(exemplars, postings, votes=votes)
    everyone = Classifier.fit(exemplars, postings)
    index = some.exemplar_model.index(exemplars.take(np.flatnonzero(votes)))
    expected = some.exemplar_model.score_rows(index, postings)
    assert some.out_of_fold is not None
    assert everyone.out_of_fold is not None
    found, whole = some.out_of_fold.model_scores, everyone.out_of_fold.model_scores
    np.testing.assert_allclose(found.log_density, expected.log_density)
    np.testing.assert_array_equal(found.by_vector, whole.by_vector)
    np.testing.assert_array_equal(found.by_text, whole.by_text)
    assert (found.nearest <= whole.nearest + 1e-5).all()
    assert (found.nearest < whole.nearest - 1e-5).any()


def test_exemplars_that_stand_in_for_postings_are_scored_by_the_votes_of_others() -> None:
    exemplars = world(20, 20, seed=1)
    votes = np.arange(len(exemplars)) % 2 == 0
    some, everyone = Classifier.fit(exemplars, votes=votes), Classifier.fit(exemplars)
    assert some.out_of_fold is not None
    assert everyone.out_of_fold is not None
    assert len(some.out_of_fold.y_true) == len(exemplars)
    found, whole = (each.out_of_fold.model_scores.nearest for each in (some, everyone))
    assert (found <= whole + 1e-5).all()
    assert (found < whole - 1e-5).any()


def test_an_older_version_is_replayed_with_its_own_votes() -> None:
    exemplars, postings = world(20, 20, seed=1), world(15, 15, seed=2, noise=0.8)
    old = Classifier.fit(exemplars, postings)
    votes = np.array([label == "maling" for label in exemplars.labels])
    own = exemplars.take(np.flatnonzero(votes))

    def replay(
        taught: LabeledTexts, votes: npt.NDArray[np.bool_] | None = None
    ) -> tuple[list[bool], list[bool]]:
        _, groupings = find_kin(taught, postings)
        groups = [(each[: len(taught)], each[-len(postings) :]) for each in groupings]
        scored = replay_current(old, taught, postings, groups, 5, 0, votes=votes)
        return scored.correct.tolist(), scored.automatic.tolist()

    assert replay(exemplars, votes) == replay(own)
    assert replay(exemplars, votes) != replay(exemplars)
