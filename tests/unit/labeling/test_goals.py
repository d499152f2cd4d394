"""How many more answers: curves that are known are found, and what nobody can know is not said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from marketplace_ai.guarantee.rows_needed import rows_needed
from marketplace_ai.guarantee.target import Target
from marketplace_ai.guarantee.threshold_search import CalibrationSample
from marketplace_ai.labeling import goals, subset_fits
from marketplace_ai.labeling.category_rows import lacking
from marketplace_ai.labeling.goals import Reason
from marketplace_ai.labeling.learning_curve import LearningCurve, fit_curve
from marketplace_ai.labeling.subset_fits import SubsetFits, fit_subsets
from tests.unit.classifier.factories import world

TARGET = Target()
SIZES = np.array([50.0, 100, 200, 300, 400])


def fits(curve: LearningCurve, rows: int = 1500) -> SubsetFits:
    """Judged rows whose share of errors is that of a curve; surer where they are right."""
    place = (np.arange(rows) + 0.5) / rows
    right = np.array([place >= curve.error(n) for n in SIZES])
    return SubsetFits(SIZES, right, np.array([place] * len(SIZES)), np.arange(rows))


def sample(rows: int, wrong: float) -> CalibrationSample:
    score = np.linspace(0, 1, rows)
    return CalibrationSample(score, score < wrong, np.arange(rows))


@pytest.mark.parametrize("curve", [LearningCurve(0, 2, 0.5), LearningCurve(0.1, 3, 0.6)])
def test_a_power_law_is_found_again(curve: LearningCurve) -> None:
    found = fit_curve(SIZES, np.array([curve.error(n) for n in SIZES]))
    assert found is not None
    assert found.error(1600) == pytest.approx(curve.error(1600), abs=0.01)
    assert found.labels_to(found.error(900)) == pytest.approx(900)


def test_errors_that_do_not_fall_have_no_curve() -> None:
    assert fit_curve(SIZES, np.full(5, 0.2)) is None
    assert fit_curve(SIZES[:2], np.array([0.4, 0.3])) is None


def test_answers_to_what_all_labels_would_give_are_those_of_the_curve() -> None:
    curve = LearningCurve(0, 4, 0.5)
    found = goals.to_share_of_all(fits(curve), 400, 1200)
    wanted = curve.labels_to(1 - 0.95 * (1 - curve.error(1600))) - 400
    assert found.reason is Reason.EXTRAPOLATED
    assert found.low is not None
    assert found.answers is not None
    assert found.low <= found.answers
    assert found.answers == pytest.approx(wanted, rel=0.15)
    assert found.high is None or found.high >= wanted


def test_with_nothing_waiting_all_labels_are_there() -> None:
    assert goals.to_share_of_all(fits(LearningCurve(0, 4, 0.5)), 400, 0).answers == 0


def test_half_automatic_is_extrapolated_or_too_far() -> None:
    near = goals.to_share_automatic(fits(LearningCurve(0, 8, 0.5)), 400, TARGET)
    assert near.answers is not None
    assert near.low is not None
    far = goals.to_share_automatic(fits(LearningCurve(0, 1.6, 0.1)), 400, TARGET)
    assert (far.answers, far.reason) == (None, Reason.TOO_FAR)


def test_without_labels_nothing_is_known() -> None:
    for found in (
        goals.to_share_of_all(None, 0, 100),
        goals.to_share_automatic(None, 0, TARGET),
        goals.audit_answers(sample(0, 0), TARGET, 0.0, 0),
    ):
        assert (found.answers, found.low, found.high) == (None, None, None)
        assert found.reason is Reason.TOO_FEW_LABELS


def test_the_first_guarantee_takes_at_least_what_the_exact_bound_asks_for() -> None:
    found = goals.audit_answers(sample(500, 0.0), TARGET, 0.0, 0)
    assert found.answers == rows_needed(TARGET) == 99
    assert goals.audit_answers(sample(500, 0.0), TARGET, 0.0, 40).answers == 59
    harder = goals.audit_answers(sample(500, 0.3), TARGET, 0.0, 0)
    assert harder.answers is not None
    assert harder.answers > 99
    assert harder.high is None or harder.high >= harder.answers


def test_more_of_the_postings_automatic_never_takes_fewer_answers_of_the_audit() -> None:
    some = goals.audit_answers(sample(500, 0.3), TARGET, 0.0, 0)
    half = goals.audit_answers(sample(500, 0.3), TARGET, 0.5, 0)
    assert some.answers is not None
    assert half.answers is not None
    assert half.answers >= some.answers


def test_a_classifier_that_is_hardly_ever_right_is_proven_by_no_audit() -> None:
    random = np.random.default_rng(0)
    useless = CalibrationSample(random.random(500), random.random(500) < 0.5, np.arange(500))
    found = goals.audit_answers(useless, TARGET, 0.0, 0)
    assert (found.answers, found.reason) == (None, Reason.TOO_OFTEN_WRONG)


@pytest.mark.slow
def test_fits_on_more_of_the_rows_are_judged_by_other_families(monkeypatch: Any) -> None:
    monkeypatch.setattr(subset_fits, "SHARES", (0.15, 1.0))
    monkeypatch.setattr(subset_fits, "REPEATS", 2)
    steps: list[int] = []
    found = fit_subsets(world(25, 0, 0, noise=0.9), None, steps.append)
    assert found is not None
    assert sum(steps) == 4
    assert (np.diff(found.labels) > 0).all()
    assert found.right.shape == found.probability.shape == (2, len(found.families))
    assert len(found.families) < 100
    assert found.right[-1].mean() > found.right[0].mean()


def test_too_few_rows_are_not_fitted() -> None:
    assert fit_subsets(world(5, 0, 0), None, lambda n: None) is None


def test_categories_with_the_fewest_rows_come_first_and_those_with_enough_not_at_all() -> None:
    found = lacking({"a": 2, "b": 0, "c": 12, "d": 0}, {"d": 40, "b": 3})
    assert [(each.label, each.missing, each.waiting) for each in found] == [
        ("d", 12, 40),
        ("b", 12, 3),
        ("a", 10, 0),
    ]
    assert found[0].missing_for_guarantee == 3
