"""Comparison of two versions on the same rows, which neither was fitted on."""

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
from marketplace_ai.comparison.paired_tests import sign_test
from marketplace_ai.comparison.report import Counts, VersionComparison
from marketplace_ai.comparison.scoring import score_out_of_fold
from marketplace_ai.comparison.version_comparison import (
    accuracy_drops,
    compare_versions,
    failed_checks,
)
from marketplace_ai.guarantee.target import Target
from tests.unit.classifier.factories import world

pytestmark = pytest.mark.slow


def together(*parts: LabeledTexts) -> LabeledTexts:
    return LabeledTexts(
        [text for part in parts for text in part.texts],
        np.concatenate([part.vectors for part in parts]),
        [label for part in parts for label in part.labels],
    )


def none_seen(exemplars: LabeledTexts) -> Any:
    return np.zeros(len(exemplars), dtype=bool)


answers = st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40)


@given(answers)
def test_without_near_duplicates_it_is_mcnemars_exact_test(pairs: list[tuple[bool, bool]]) -> None:
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
def test_near_duplicates_are_one_piece_of_evidence(
    pairs: list[tuple[bool, bool]], times: int
) -> None:
    new, old = (np.array([pair[i] for pair in pairs], dtype=bool) for i in (0, 1))
    once = sign_test(new, old, np.arange(len(pairs)))
    again = sign_test(
        np.tile(new, times), np.tile(old, times), np.tile(np.arange(len(pairs)), times)
    )
    assert again == once


def test_the_same_fit_again_is_not_worse() -> None:
    exemplars, rows = world(20, 10, 1), world(30, 20, 2)
    old = Classifier.fit(exemplars, rows)
    found = compare_versions(
        Classifier.fit(exemplars, rows), old, exemplars, rows, none_seen(exemplars)
    )
    assert found.rows == len(rows)
    assert found.left_out == 0
    assert found.lost <= 3
    assert not accuracy_drops(found)


def test_one_fitted_on_wrong_labels_is_worse() -> None:
    good, rows = world(20, 10, 1), world(30, 20, 2)
    # Today's exemplars have the right labels again; the new linear heads were fitted on wrong ones.
    wrong = world(20, 10, 1, wrong=0.6)
    old, new = Classifier.fit(good, rows), Classifier.fit(wrong, rows)
    found = compare_versions(new, old, good, rows, none_seen(good))
    assert accuracy_drops(found)
    assert found.new.correct < found.old.correct
    assert found.lost > found.gained
    assert "accuracy_drop" in [*failed_checks(new.guarantee, old.guarantee, found)]
    other_way = compare_versions(old, new, good, rows, none_seen(good))
    assert not accuracy_drops(other_way)
    assert (other_way.gained > other_way.lost) and not [
        *failed_checks(old.guarantee, new.guarantee, other_way)
    ]


def test_the_figures_are_those_of_the_guarantee() -> None:
    exemplars, rows = world(30, 15, 1), world(60, 30, 2)
    classifier = Classifier.fit(exemplars, rows, target=Target(0.9))
    found = score_out_of_fold(classifier, rows)
    automatic = classifier.guarantee.automatic
    assert automatic.threshold is not None
    assert found.automatic.mean() == pytest.approx(automatic.coverage)
    assert (found.automatic & ~found.correct).sum() <= automatic.errors + 1


def test_an_exemplar_that_is_the_row_itself_does_not_help_the_old_one() -> None:
    """With random labels, rows can be predicted only from exemplars that repeat them."""
    random = np.random.default_rng(5)
    base, rows = world(4, 2, 1), world(30, 0, 2)
    names = sorted({label for label in base.labels if label})
    rows = LabeledTexts(rows.texts, rows.vectors, [str(random.choice(names)) for _ in rows.texts])
    old = Classifier.fit(base, world(30, 10, 3))
    exemplars = together(base, rows)
    new = Classifier.fit(exemplars, rows)
    seen = np.arange(len(exemplars)) < len(base)
    found = compare_versions(new, old, exemplars, rows, seen)
    assert found.rows == len(rows)
    assert found.old.correct < 0.5 * len(rows)


def test_rows_that_the_old_one_was_fitted_on_are_left_out_for_both() -> None:
    first, later = world(20, 10, 1), world(15, 5, 4)
    old = Classifier.fit(first)
    exemplars = together(first, later)
    new = Classifier.fit(exemplars)
    seen = np.arange(len(exemplars)) < len(first)
    found = compare_versions(new, old, exemplars, None, seen)
    groups = near_duplicate_groups(exemplars.texts)
    unseen = ~np.isin(groups, groups[seen])
    assert len(later) - 3 <= unseen.sum() <= len(later)
    assert (found.rows, found.left_out) == (unseen.sum(), (~unseen).sum())
    assert found.old.correct > 0.7 * found.rows
    nothing = compare_versions(new, old, exemplars, None, np.ones(len(exemplars), dtype=bool))
    assert (nothing.rows, nothing.left_out) == (0, len(exemplars))
    assert (nothing.p_value, nothing.automatic_p_value) == (1, 1)


def test_the_old_one_knows_a_category_that_is_newer_than_itself() -> None:
    full, rows = world(20, 10, 1), world(20, 10, 2)
    known = np.flatnonzero([label != "plen" for label in full.labels])
    old = Classifier.fit(full.take(known))
    found = compare_versions(Classifier.fit(full, rows), old, full, rows, none_seen(full))
    assert found.old.correct > 0.6 * len(rows)


def test_only_a_classifier_just_fitted_can_be_compared() -> None:
    exemplars, rows = world(10, 5, 1), world(12, 5, 2)
    classifier = Classifier.fit(exemplars, rows)
    stored = Classifier.from_bytes(classifier.to_bytes())
    assert stored.out_of_fold is None
    for new in (stored, Classifier.fit(exemplars)):
        with pytest.raises(ValueError, match="not just fitted"):
            compare_versions(new, classifier, exemplars, rows, none_seen(exemplars))


def comparison(**figures: Any) -> VersionComparison:
    alike = Counts(90, 60, 1)
    values = {
        "rows": 100, "left_out": 0, "new": alike, "old": alike, "gained": 2, "lost": 2,
        "p_value": 0.7, "automatic_gained": 1, "automatic_lost": 1, "automatic_p_value": 0.75,
        **figures,
    }  # fmt: skip
    return VersionComparison(**values)


@pytest.fixture(scope="module")
def promise() -> Any:
    promise = Classifier.fit(world(20, 10, 1), world(40, 20, 2), target=Target(0.9)).guarantee
    assert promise.automatic.threshold is not None
    return promise


class TestFailedChecks:
    @staticmethod
    def none(promise: Any, **other: Any) -> Any:
        return replace(promise, automatic=replace(promise.automatic, threshold=None), **other)

    def test_none_where_both_are_alike(self, promise: Any) -> None:
        assert not [*failed_checks(promise, promise, comparison())]
        assert not [*failed_checks(promise, promise, None)]

    def test_accuracy_drop(self, promise: Any) -> None:
        assert [*failed_checks(promise, promise, comparison(p_value=0.049))] == ["accuracy_drop"]
        assert not [*failed_checks(promise, promise, comparison(p_value=0.051))]

    def test_no_threshold_where_there_was_one(self, promise: Any) -> None:
        assert [*failed_checks(self.none(promise), promise, None)] == ["no_threshold"]
        assert not [*failed_checks(self.none(promise), self.none(promise), None)]
        assert not [*failed_checks(promise, self.none(promise), None)]

    def test_coverage_drop_by_more_than_a_fifth_and_more_than_chance(self, promise: Any) -> None:
        def failed(automatic: int, p: float) -> list[str]:
            changed = comparison(new=Counts(90, automatic, 1), automatic_p_value=p)
            return [*failed_checks(promise, promise, changed)]

        assert failed(47, 0.01) == ["coverage_drop"]
        assert not failed(48, 0.01)
        assert not failed(47, 0.06)

    def test_a_stricter_guarantee_may_cost_coverage(self, promise: Any) -> None:
        changed = comparison(new=Counts(90, 10, 0), automatic_p_value=1e-9)
        for stricter in (Target(0.99), Target(0.9, 0.99)):
            new = replace(promise, target=stricter)
            assert not [*failed_checks(new, promise, changed)]
            assert not [*failed_checks(self.none(new), promise, changed)]
            worse = replace(changed, p_value=0.001)
            assert [*failed_checks(new, promise, worse)] == ["accuracy_drop"]
        looser = replace(promise, target=Target(0.8))
        assert [*failed_checks(looser, promise, changed)] == ["coverage_drop"]
