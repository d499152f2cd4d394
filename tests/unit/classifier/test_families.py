"""Families: given by people, or found by text and by meaning without a look at labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketplace_ai.classifier import Classifier, LabeledTexts
from marketplace_ai.classifier.families import MAX_BY_MEANING, find_families
from marketplace_ai.classifier.nearest_by_meaning import join_by_meaning
from tests.unit.classifier.factories import world


def sentences(count: int, languages: int, noise: float = 0.25, seed: int = 0) -> np.ndarray:
    """Unit vectors (count * languages, 64): each sentence in all languages, side by side."""
    random = np.random.default_rng(seed)
    meaning = np.repeat(random.normal(size=(count, 64)), languages, axis=0)
    language = np.tile(random.normal(size=(languages, 64)), (count, 1))
    vectors = meaning + language + noise * random.normal(size=meaning.shape)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32)


def words(count: int) -> list[str]:
    """Texts that share nothing."""
    return [f"{n * 7919 % 99991:05} {n * 104729 % 99989:05}" for n in range(count)]


@pytest.mark.parametrize("languages", [2, 5, 11, 12])
def test_a_sentence_and_its_translations_are_one_family(languages: int) -> None:
    rows = 60 * languages
    vectors = sentences(60, languages)
    families = find_families(words(rows), vectors)
    true = np.repeat(np.arange(60), languages)
    same = families[:, None] == families
    kin = true[:, None] == true
    found = same & ~np.eye(rows, dtype=bool)
    assert (found & kin).sum() / found.sum() > 0.95
    assert (found & kin).sum() / (kin.sum() - rows) > 0.8
    assert len(set(find_families(words(rows)))) == rows


def test_meaning_alone_joins_no_more_than_a_few() -> None:
    families = find_families(words(200), sentences(5, 40, noise=0.05))
    assert 1 < np.unique(families, return_counts=True)[1].max() <= MAX_BY_MEANING


def test_groups_by_meaning_stay_within_their_bound() -> None:
    joined = join_by_meaning(sentences(60, 4), np.arange(240), 2, np.zeros(240, dtype=bool))
    assert np.unique(joined, return_counts=True)[1].max() == 2


def test_two_named_families_are_not_joined_however_alike_they_are() -> None:
    vectors = sentences(60, 4)
    names = [f"customer {n}" for n in range(120)] + [""] * 120
    families = find_families(words(240), vectors, names)
    assert len(set(families[:120])) == 120
    assert len(set(families[120:])) < 60


def test_a_given_family_is_whole_and_two_are_never_joined_by_meaning() -> None:
    vectors = sentences(30, 4)
    names = [f"{n % 4}" if n < 40 else "" for n in range(120)]  # as if by language
    families = find_families(words(120), vectors, names)
    for name in "0123":
        assert len({families[n] for n in range(40) if names[n] == name}) == 1
    assert len(set(families[:4])) == 4


def test_customers_who_ask_for_the_same_are_not_one_family() -> None:
    texts = ["Male stue", "Felle tre", "MALE stue!", "Bytte kran", "Male  stue", "Legge gulv"]
    families = find_families(texts, given=["a", "a", "b", "b", "", ""])
    assert families[0] == families[1] == families[4]
    assert families[2] == families[3] != families[0]
    assert families[5] not in families[:5]


@pytest.mark.slow
def test_a_near_duplicate_of_another_family_does_not_teach() -> None:
    """Each text twice, by two customers; the labels mean nothing, so that only a copy tells."""
    rows = world(24, 24, seed=3)
    copies = np.tile(np.arange(len(rows)), 2)
    labels = np.random.default_rng(4).permutation([f"k{n % 4}" for n in range(len(rows))])
    twice = LabeledTexts(
        [words(len(rows))[row] for row in copies],
        rows.vectors[copies],
        [labels[row] for row in copies],
        [f"customer {n % 101}" for n in range(len(copies))],
    )
    scored = Classifier.fit(twice).out_of_fold
    assert scored is not None
    assert (scored.first_choice == scored.y_true).mean() < 0.5


@settings(max_examples=30, deadline=None)
@given(
    names=st.lists(st.sampled_from(["", "a", "b", "c"]), min_size=1, max_size=25),
    seed=st.integers(0, 99),
)
def test_whatever_is_given_every_text_has_a_family(names: list[str], seed: int) -> None:
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(len(names), 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    families = find_families(words(len(names)), vectors, names)
    assert families.shape == (len(names),)
    for name in set(names) - {""}:
        assert len({families[n] for n, each in enumerate(names) if each == name}) == 1


@pytest.mark.slow
def test_kin_by_meaning_teach_nothing_of_what_is_judged() -> None:
    """Each text four times in other words: what scores one has seen none of the others."""
    exemplars = world(16, 16, seed=1)
    copies = np.repeat(np.arange(len(exemplars)), 4)
    random = np.random.default_rng(2)
    vectors = exemplars.vectors[copies] + 0.02 * random.normal(size=(len(copies), 1)).astype("f4")
    labels = random.permutation([f"k{n % 4}" for n in range(len(exemplars))])
    # The labels mean nothing, so that only a copy of a text knows its label.
    rows = LabeledTexts(words(len(copies)), vectors, [labels[row] for row in copies])
    families = [f"s{row}" for row in copies]
    for given_families in ((), families):
        known = LabeledTexts(rows.texts, rows.vectors, rows.labels, given_families)
        scored = Classifier.fit(known).out_of_fold
        assert scored is not None
        assert (scored.first_choice == scored.y_true).mean() < 0.5
