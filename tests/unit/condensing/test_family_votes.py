"""One vote a family and label."""

from __future__ import annotations

import numpy as np

from marketplace_ai.classifier import LabeledTexts
from marketplace_ai.condensing.family_votes import family_votes


def rows(texts: list[str], families: tuple[str, ...] = ()) -> LabeledTexts:
    vectors = np.eye(len(texts), 4, dtype=np.float32) + 1
    return LabeledTexts(texts, vectors, ["a"] * len(texts), families)


def test_equal_texts_leave_one_vote() -> None:
    found = family_votes(
        rows(["Male stue", "Bytte kran", "male stue!", "Male stue"]), np.zeros(4, int)
    )
    assert found.votes.sum() == 2
    assert found.votes[1]
    assert found.families[0] == found.families[2] == found.families[3] != found.families[1]


def test_a_family_that_people_named_has_one_vote_for_each_of_its_labels() -> None:
    texts = rows(["Male stue", "Klippe gress", "Vaske vindu", "Bytte kran"], ("k1", "k1", "k1", ""))
    found = family_votes(texts, np.array([0, 0, 1, 1]))
    assert found.votes.tolist()[2:] == [True, True]
    assert found.votes[:2].sum() == 1
    # and is one family in every split, whatever the labels
    assert len(set(found.families[:3].tolist())) == 1
    assert found.families[3] != found.families[0]


def test_the_vote_of_a_family_is_its_most_central_text() -> None:
    vectors = np.array([[1, 0], [1, 0.5], [1, 1]], dtype=np.float32)
    texts = LabeledTexts(["Male stue", "Male gang", "Male tak"], vectors, ["a"] * 3, ("k",) * 3)
    assert family_votes(texts, np.zeros(3, int)).votes.tolist() == [False, True, False]


def test_the_first_of_equal_texts_votes() -> None:
    same = LabeledTexts(["Male stue"] * 5, np.ones((5, 3), np.float32), ["a"] * 5)
    assert family_votes(same, np.zeros(5, int)).votes.tolist() == [True] + [False] * 4
