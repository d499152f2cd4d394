"""A second job: found where two parts of a text disagree, and said only where it is proven."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from marketplace_ai.classifier import Classifier, LabeledTexts, Prediction
from marketplace_ai.classifier.artifact import ArtifactError
from marketplace_ai.classifier.linear_heads import LinearHeads, LinearScores
from marketplace_ai.classifier.ngrams import BUCKETS, ClauseFeatures
from marketplace_ai.classifier.second_category import (
    MAX_FALSE_RATE,
    SecondCategories,
    clauses,
    find_second_categories,
    find_threshold,
    split_strengths,
)
from marketplace_ai.guarantee.bounds import error_upper_bound

from .factories import PARENTS, TRADES, world

EXEMPLARS = world(24, 24, seed=1)


# -- where a text may be cut -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Male stue og flytte et piano", ["Male stue", "og flytte et piano"]),
        ("Måla stova, flytta piano", ["Måla stova,", "flytta piano"]),
        ("Paint wall AND move piano", ["Paint wall", "AND move piano"]),
        ("Male stue\nFlytte piano!", ["Male stue", "Flytte piano!"]),
        ("Ca 1.5 kvm tak/vegg", ["Ca 1.5 kvm tak/vegg"]),
        ("og og", ["og", "og"]),
        (" \n ", []),
    ],
)
def test_a_text_is_cut_at_marks_lines_and_conjunctions(text: str, expected: list[str]) -> None:
    assert clauses(text) == expected


@given(st.text(max_size=200))
@pytest.mark.slow
def test_every_word_is_in_one_clause_in_order(text: str) -> None:
    assert " ".join(clauses(text)).split() == text.split()
    assert all(clause.strip() for clause in clauses(text))


# -- how surely a text has two jobs ----------------------------------------------------------


def one(*said: tuple[float, ...]) -> list[float]:
    """Strengths of a single text, given what each of its parts says of each choice."""
    rows = np.array(said, dtype=np.float64)
    return split_strengths(rows, np.zeros(len(rows), dtype=np.intp), 1)[0].tolist()


def test_the_more_doubtful_half_counts() -> None:
    assert one((3.0, 0.0), (0.0, 2.0)) == [2.0]
    assert one((0.0, 2.0), (3.0, 0.0)) == [2.0]
    assert one((3.0, 0.0), (1.0, 0.0), (0.0, 2.0), (0.0, 5.0)) == [4.0]


def test_what_is_torn_from_end_to_end_has_one_job() -> None:
    assert one((2.0, 1.9), (2.0, 1.9), (1.0, 0.9)) == [0.0]
    assert one((3.0, 0.0)) == [0.0]  # a single clause has no halves
    assert one((1.0, 0.0), (0.0, np.nan)) == [0.0]  # a category newer than the fit


@given(
    st.lists(st.tuples(st.integers(0, 3), *[st.floats(-9, 9) for _ in range(3)]), max_size=12).map(
        lambda rows: sorted(rows, key=lambda row: row[0])
    )
)
def test_strengths_are_those_of_the_plain_search(rows: list[tuple[float, ...]]) -> None:
    owner = np.array([row[0] for row in rows], dtype=np.intp)
    said = np.array([row[1:] for row in rows], dtype=np.float64).reshape(-1, 3)
    expected = np.zeros((4, 2))
    for text in range(4):
        parts = said[owner == text]
        for cut in range(1, len(parts)):
            for left, right in ((parts[:cut], parts[cut:]), (parts[cut:], parts[:cut])):
                for other in (1, 2):
                    mine = (left[:, 0] - left[:, other]).sum()
                    its = (right[:, other] - right[:, 0]).sum()
                    expected[text, other - 1] = max(expected[text, other - 1], min(mine, its))
    assert split_strengths(said, owner, 4) == pytest.approx(expected, abs=1e-9)


def pattern(weights: list[list[float]]) -> LinearHeads:
    """By text alone: one n-gram a row, one label a column, label 3 unknown to it."""
    matrix = np.array(weights, dtype=np.float32)
    labels = np.arange(matrix.shape[1], dtype=np.int32)
    grams = np.arange(len(matrix), dtype=np.int32)
    empty = LinearScores(np.zeros((1, len(labels)), np.float32), np.zeros(len(labels), np.float32))
    return LinearHeads(
        labels, grams, empty, LinearScores(matrix, np.zeros(len(labels), np.float32))
    )


def divided(*texts: list[int]) -> ClauseFeatures:
    """Each text's clauses, of one n-gram each."""
    grams = [gram for text in texts for gram in text]
    owner = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
    ones = np.ones(len(grams), dtype=np.float32)
    parts = sp.csr_matrix((ones, (np.arange(len(grams)), grams)), shape=(len(grams), BUCKETS))
    worth = sp.csr_matrix(
        (ones, (owner, grams)), shape=(len(texts), BUCKETS)
    )  # each text says each of its n-grams once
    return ClauseFeatures(worth, parts, worth, owner)


def test_the_second_is_among_the_first_three_and_never_none_nor_after_none() -> None:
    speaks = pattern([[5.0, 0.0, 0.0, 0.0], [0.0, 5.0, 0.0, 0.0], [0.0, 0.0, 0.0, 5.0]])
    texts = divided([0, 1], [0, 1], [0, 1], [0, 2])
    pooled = np.array(
        [
            [0.6, 0.2, 0.1, 0.1, 0.0],  # both are among the first
            [0.3, 0.2, 0.3, 0.1, 0.5],  # "none" (4) is first
            [0.5, 0.01, 0.2, 0.2, 0.09],  # the second is nowhere near
            [0.5, 0.0, 0.0, 0.1, 0.4],  # the third choice, behind "none"
        ]
    )
    found = find_second_categories(speaks, texts, pooled, none=4)
    assert found.codes.tolist() == [1, -1, -1, 3]
    assert found.strengths.tolist() == [5.0, 0.0, 0.0, 5.0]
    assert found.tagged(4.9).tolist() == [True, False, False, True]
    assert not found.tagged(5.0).any()
    assert not found.tagged(None).any()


def test_what_the_pattern_does_not_know_is_no_second_job() -> None:
    speaks = pattern([[5.0, 0.0], [0.0, 5.0]])
    pooled = np.array([[0.6, 0.1, 0.3, 0.0], [0.1, 0.2, 0.7, 0.0]])
    found = find_second_categories(speaks, divided([0, 1], [0, 1]), pooled, none=3)
    assert found.codes.tolist() == [1, -1]
    nothing = LinearHeads(
        np.zeros(0, np.int32), np.zeros(0, np.int32),
        *(LinearScores(np.zeros((n, 0), np.float32), np.zeros(0, np.float32)) for n in (1, 0)),
    )  # fmt: skip
    none = find_second_categories(nothing, divided([0, 1]), np.array([[0.7, 0.3]]), none=1)
    assert none.codes.tolist() == [-1]


# -- what may be said ------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.floats(0, 9), st.booleans()), max_size=400),
    st.integers(1, 3),
)
def test_the_threshold_is_the_loosest_that_keeps_the_rate(
    rows: list[tuple[float, bool]], twins: int
) -> None:
    sure = np.array([strength for strength, _ in rows])
    codes = np.where(sure > 0, np.array([wrong for _, wrong in rows], dtype=np.intp), -1)
    seconds = SecondCategories(codes.astype(np.intp), sure)
    answers, groups = np.zeros(len(rows), dtype=np.intp), np.arange(len(rows)) // twins
    rule = find_threshold(seconds, answers, groups, 0.95)
    total = len(set(groups.tolist()))
    assert rule.rows == total

    def errors(threshold: float, *, reached: bool = False) -> int:
        given = sure >= threshold if reached else seconds.tagged(threshold)
        return len(set(groups[given & (codes != answers)].tolist()))

    if rule.threshold is None:
        assert error_upper_bound(0, total, 0.95) > MAX_FALSE_RATE
        return
    assert rule.errors == errors(rule.threshold)
    assert rule.error_bound <= MAX_FALSE_RATE
    if rule.threshold > 0:  # looser by anything, and the bound is broken
        assert error_upper_bound(errors(rule.threshold, reached=True), total, 0.95) > MAX_FALSE_RATE


def test_a_second_that_is_the_answer_is_no_error() -> None:
    seconds = SecondCategories(np.full(200, 1), np.full(200, 9.0))
    groups = np.arange(200)
    assert find_threshold(seconds, np.full(200, 1), groups, 0.95).threshold == 0.0
    assert find_threshold(seconds, np.full(200, 2), groups, 0.95).threshold == 9.0
    assert find_threshold(seconds, np.full(200, -1), groups, 0.95).threshold == 9.0


@pytest.mark.slow
def test_the_promised_rate_is_kept_where_a_threshold_just_breaks_it() -> None:
    """At its own threshold this population has one error more than is promised."""
    random = np.random.default_rng(0)
    groups, answers = np.arange(400), np.zeros(400, dtype=np.intp)
    broken = 0
    for _ in range(400):
        wrong = random.random(400) < MAX_FALSE_RATE * 1.01
        seconds = SecondCategories(np.where(wrong, 1, -1), np.where(wrong, 1.0, 0.0))
        broken += find_threshold(seconds, answers, groups, 0.95).threshold == 0.0
    assert broken / 400 < 0.08


# -- the whole classifier --------------------------------------------------------------------


def joined(seed: int, none: int = 0) -> tuple[LabeledTexts, list[tuple[str, str]]]:
    """Two texts of different trades in one, its vector between theirs."""
    rows = world(20, none, seed=seed, noise=0.2)
    pairs = [(i, (i + 20) % 80) for i in range(80)]
    texts = [f"{rows.texts[a]} og {rows.texts[b]}" for a, b in pairs]
    vectors = np.stack([rows.vectors[a] + rows.vectors[b] for a, b in pairs])
    labels = [(str(rows.labels[a]), str(rows.labels[b])) for a, b in pairs]
    return LabeledTexts(texts, vectors, [first for first, _ in labels]), labels


def decide(classifier: Classifier, postings: LabeledTexts) -> list[Prediction]:
    index = classifier.new_index()
    index.update(range(len(EXEMPLARS)), EXEMPLARS.texts, EXEMPLARS.labels, EXEMPLARS.vectors)
    return classifier.predict(index, postings.vectors, postings.texts)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier.fit(EXEMPLARS, world(60, 60, seed=2), parents=PARENTS)


def test_two_jobs_are_found_and_single_ones_stay_single(classifier: Classifier) -> None:
    postings, pairs = joined(seed=7)
    found = decide(classifier, postings)
    both = [
        {verdict.label, *(label for label, _ in verdict.second_categories)} == set(pair)
        for verdict, pair in zip(found, pairs, strict=True)
    ]
    assert np.mean(both) > 0.7
    single = decide(classifier, world(40, 40, seed=3))
    assert np.mean([bool(verdict.second_categories) for verdict in single]) <= MAX_FALSE_RATE
    for verdict in [*found, *single]:
        threshold = classifier.guarantee.second_category.threshold
        for label, strength in verdict.second_categories:
            assert label in TRADES
            assert label != verdict.label
            assert label in [choice for choice, _ in verdict.choices[:3]]
            assert threshold is not None
            assert strength > threshold


def test_stored_it_says_the_same(classifier: Classifier) -> None:
    postings, _ = joined(seed=7)
    again = Classifier.from_bytes(classifier.to_bytes())
    assert decide(again, postings) == decide(classifier, postings)
    assert again.guarantee.second_category == classifier.guarantee.second_category


def test_without_enough_labelled_rows_none_is_said() -> None:
    few = Classifier.fit(EXEMPLARS, world(10, 10, seed=2))
    assert few.guarantee.second_category.threshold is None
    assert not any(verdict.second_categories for verdict in decide(few, joined(seed=7)[0]))


@pytest.mark.slow
def test_exemplars_alone_prove_it_too() -> None:
    alone = Classifier.fit(EXEMPLARS)
    assert alone.guarantee.second_category.rows == len(EXEMPLARS)
    assert any(verdict.second_categories for verdict in decide(alone, joined(seed=7)[0]))


def test_an_artifact_of_before_is_to_be_fitted_again(classifier: Classifier) -> None:
    old = classifier.to_bytes().replace(
        b"marketplace_ai.classifier/5", b"marketplace_ai.classifier/2"
    )
    with pytest.raises(ArtifactError, match=r"classifier/2'.*fit it again"):
        Classifier.from_bytes(old)
