"""Comparing two classifiers: on the same rows, none of which either has learnt from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from marketplace_ai.classifier import Classifier, LabeledTexts
from marketplace_ai.classifier.near_duplicates import near_duplicate_groups
from marketplace_ai.comparison.scoring import out_of_fold
from marketplace_ai.comparison.version_comparison import (
    Comparison,
    Shown,
    compare,
    objections,
    sign_test,
)
from tests.unit.classifier.factories import world
from marketplace_ai.guarantee.target import Target


def together(*parts: LabeledTexts) -> LabeledTexts:
    return LabeledTexts(
        [text for part in parts for text in part.texts],
        np.concatenate([part.vectors for part in parts]),
        [label for part in parts for label in part.labels],
    )


def unlearnt(exemplars: LabeledTexts) -> Any:
    return np.zeros(len(exemplars), dtype=bool)


answers = st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40)


@given(answers)
def test_without_twins_it_is_mcnemars_exact_test(pairs: list[tuple[bool, bool]]) -> None:
    new, old = (np.array([pair[i] for pair in pairs], dtype=bool) for i in (0, 1))
    gained, lost, p = sign_test(new, old, np.arange(len(pairs)))
    assert gained == sum(a and not b for a, b in pairs)
    assert lost == sum(b and not a for a, b in pairs)
    if gained + lost:
        independent = binomtest(lost, gained + lost, 0.5, alternative="greater").pvalue
        assert p == pytest.approx(independent)
    else:
        assert p == 1


@given(answers, st.integers(1, 4))
def test_twins_are_one_piece_of_evidence(pairs: list[tuple[bool, bool]], times: int) -> None:
    new, old = (np.array([pair[i] for pair in pairs], dtype=bool) for i in (0, 1))
    once = sign_test(new, old, np.arange(len(pairs)))
    again = sign_test(
        np.tile(new, times), np.tile(old, times), np.tile(np.arange(len(pairs)), times)
    )
    assert again == once


def test_the_same_fit_again_is_not_worse() -> None:
    exemplars, rows = world(20, 10, 1), world(30, 20, 2)
    old = Classifier.fit(exemplars, rows)
    found = compare(Classifier.fit(exemplars, rows), old, exemplars, rows, unlearnt(exemplars))
    assert found.rows == len(rows)
    assert found.left_out == 0
    assert found.lost <= 3
    assert not found.worse


def test_one_that_learnt_from_wrong_labels_is_worse() -> None:
    good, rows = world(20, 10, 1), world(30, 20, 2)
    # The labels are right again in what votes today; the new pattern has learnt the wrong ones.
    wrong = world(20, 10, 1, wrong=0.6)
    old, new = Classifier.fit(good, rows), Classifier.fit(wrong, rows)
    found = compare(new, old, good, rows, unlearnt(good))
    assert found.worse
    assert found.new.right < found.old.right
    assert found.lost > found.gained
    assert "worse" in [*objections(new.guarantee, old.guarantee, found)]
    other_way = compare(old, new, good, rows, unlearnt(good))
    assert not other_way.worse
    assert (other_way.gained > other_way.lost) and not [
        *objections(old.guarantee, new.guarantee, other_way)
    ]


def test_the_figures_are_those_of_the_promise() -> None:
    exemplars, rows = world(30, 15, 1), world(60, 30, 2)
    classifier = Classifier.fit(exemplars, rows, target=Target(0.9))
    found = out_of_fold(classifier, rows)
    automatic = classifier.guarantee.automatic
    assert automatic.threshold is not None
    assert found.automatic.mean() == pytest.approx(automatic.coverage)
    assert (found.automatic & ~found.right).sum() <= automatic.errors + 1


def test_an_exemplar_that_is_the_row_itself_gives_the_old_one_no_answer() -> None:
    """Labelled at random, rows can only be known from exemplars that repeat them."""
    random = np.random.default_rng(5)
    base, rows = world(4, 2, 1), world(30, 0, 2)
    names = sorted({label for label in base.labels if label})
    rows = LabeledTexts(rows.texts, rows.vectors, [str(random.choice(names)) for _ in rows.texts])
    old = Classifier.fit(base, world(30, 10, 3))
    exemplars = together(base, rows)
    new = Classifier.fit(exemplars, rows)
    learnt = np.arange(len(exemplars)) < len(base)
    found = compare(new, old, exemplars, rows, learnt)
    assert found.rows == len(rows)
    assert found.old.right < 0.5 * len(rows)


def test_rows_that_the_old_one_was_fitted_on_are_left_out_for_both() -> None:
    first, later = world(20, 10, 1), world(15, 5, 4)
    old = Classifier.fit(first)
    exemplars = together(first, later)
    new = Classifier.fit(exemplars)
    learnt = np.arange(len(exemplars)) < len(first)
    found = compare(new, old, exemplars, None, learnt)
    groups = near_duplicate_groups(exemplars.texts)
    fair = ~np.isin(groups, groups[learnt])
    assert len(later) - 3 <= fair.sum() <= len(later)
    assert (found.rows, found.left_out) == (fair.sum(), (~fair).sum())
    assert found.old.right > 0.7 * found.rows
    nothing = compare(new, old, exemplars, None, np.ones(len(exemplars), dtype=bool))
    assert (nothing.rows, nothing.left_out) == (0, len(exemplars))
    assert (nothing.p_worse, nothing.p_fewer) == (1, 1)


def test_the_old_one_knows_a_category_that_is_newer_than_itself() -> None:
    full, rows = world(20, 10, 1), world(20, 10, 2)
    known = np.flatnonzero([label != "plen" for label in full.labels])
    old = Classifier.fit(full.take(known))
    found = compare(Classifier.fit(full, rows), old, full, rows, unlearnt(full))
    assert found.old.right > 0.6 * len(rows)


def test_only_a_classifier_just_fitted_can_be_compared() -> None:
    exemplars, rows = world(10, 5, 1), world(12, 5, 2)
    classifier = Classifier.fit(exemplars, rows)
    stored = Classifier.from_bytes(classifier.to_bytes())
    assert stored.out_of_fold is None
    for new in (stored, Classifier.fit(exemplars)):
        with pytest.raises(ValueError, match="not just fitted"):
            compare(new, classifier, exemplars, rows, unlearnt(exemplars))


def comparison(**figures: Any) -> Comparison:
    alike = Shown(90, 60, 1)
    values = {
        "rows": 100, "left_out": 0, "new": alike, "old": alike, "gained": 2, "lost": 2,
        "p_worse": 0.7, "taken_up": 1, "given_up": 1, "p_fewer": 0.75, **figures,
    }  # fmt: skip
    return Comparison(**values)


@pytest.fixture(scope="module")
def promise() -> Any:
    promise = Classifier.fit(world(20, 10, 1), world(40, 20, 2), target=Target(0.9)).guarantee
    assert promise.automatic.threshold is not None
    return promise


class TestObjections:
    @staticmethod
    def none(promise: Any, **other: Any) -> Any:
        return replace(promise, automatic=replace(promise.automatic, threshold=None), **other)

    def test_none_where_both_are_alike(self, promise: Any) -> None:
        assert not [*objections(promise, promise, comparison())]
        assert not [*objections(promise, promise, None)]

    def test_worse(self, promise: Any) -> None:
        assert [*objections(promise, promise, comparison(p_worse=0.049))] == ["worse"]
        assert not [*objections(promise, promise, comparison(p_worse=0.051))]

    def test_no_automation_where_there_was_some(self, promise: Any) -> None:
        assert [*objections(self.none(promise), promise, None)] == ["no_automation"]
        assert not [*objections(self.none(promise), self.none(promise), None)]
        assert not [*objections(promise, self.none(promise), None)]

    def test_fewer_automatic_by_more_than_a_fifth_and_more_than_chance(self, promise: Any) -> None:
        def found(automatic: int, p: float) -> list[str]:
            shown = comparison(new=Shown(90, automatic, 1), p_fewer=p)
            return [*objections(promise, promise, shown)]

        assert found(47, 0.01) == ["fewer"]
        assert not found(48, 0.01)
        assert not found(47, 0.06)

    def test_a_stricter_promise_may_cost_automation(self, promise: Any) -> None:
        shown = comparison(new=Shown(90, 10, 0), p_fewer=1e-9)
        for stricter in (Target(0.99), Target(0.9, 0.99)):
            new = replace(promise, target=stricter)
            assert not [*objections(new, promise, shown)]
            assert not [*objections(self.none(new), promise, shown)]
            worse = replace(shown, p_worse=0.001)
            assert [*objections(new, promise, worse)] == ["worse"]
        looser = replace(promise, target=Target(0.8))
        assert [*objections(looser, promise, shown)] == ["fewer"]
