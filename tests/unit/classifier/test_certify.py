"""The rules are proven on the very rows that they decide when they are applied."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from marketplace_ai.classifier import Classifier, Guarantee
from marketplace_ai.classifier.certify import certify
from marketplace_ai.classifier.cross_fitting import OutOfFold
from marketplace_ai.classifier.opinion_pool import ModelScores
from marketplace_ai.classifier.second_category import SecondCategories
from marketplace_ai.guarantee.bounds import error_upper_bound
from marketplace_ai.guarantee.target import Target

from .factories import DIMENSION, PARENTS, world

NAMES = ("bad", "hage", "kran", "rør", None)
UNDER = {"kran": "vann", "rør": "vann", "bad": "vann"}


def rows(count: int, first: str, answer: str, probability: float) -> list[tuple[int, int, float]]:
    return [(NAMES.index(first), NAMES.index(answer), probability)] * count


def promise_on(scored: list[tuple[int, int, float]], **exemplars: int) -> Guarantee:
    """Rows with their whole score on the first choice, each a group of its own; ``exemplars``
    names labels that have not the usual number."""
    first, answers = (np.array([row[i] for row in scored], dtype=np.intp) for i in (0, 1))
    probability = np.array([row[2] for row in scored])
    zeros = np.zeros((len(first), 5))
    blank = ModelScores(zeros, zeros, zeros, probability)
    groups, pooled = np.arange(len(first)), np.eye(5)[first]
    lone = SecondCategories(np.full(len(first), -1), np.zeros(len(first)))
    return certify(
        OutOfFold(blank, answers, groups, pooled, first, probability, lone),
        NAMES,
        UNDER,
        np.array([exemplars.get(str(name), 24) for name in NAMES]),
        target=Target(),
        calibrated_on="postings",
    )


#: Sure and right; unsure, with the right parent; and a refuted category under that parent.
SURE = rows(800, "kran", "kran", 0.99)
UNSURE = rows(200, "kran", "rør", 0.3)
REFUTED = rows(8, "bad", "bad", 0.99) + rows(12, "bad", "hage", 0.99)


def test_a_refuted_category_stands_trial_for_its_parent() -> None:
    assert promise_on(SURE + UNSURE).parent.threshold == 1.0
    promise = promise_on(SURE + UNSURE + REFUTED)
    assert [row.label for row in promise.categories if not row.automated] == ["bad"]
    assert promise.automatic.threshold == 0.99
    assert (promise.parent.eligible_rows, promise.parent.errors) == (220, 12)
    assert promise.parent.threshold is None


def test_counts_and_bound_are_those_that_were_tested() -> None:
    rule = promise_on(SURE + UNSURE + REFUTED).automatic
    assert (rule.rows, rule.errors) == (820, 12)
    assert rule.error_bound == pytest.approx(error_upper_bound(12, 820, 0.95))
    assert rule.coverage == pytest.approx(800 / 1020)  # refuted ones are not decided


def test_too_few_exemplars_are_left_to_their_own_rows() -> None:
    """A category with two is neither part of the promise over all nor covered by it."""
    sparse = rows(90, "bad", "bad", 0.999)
    usual = promise_on(SURE + sparse)
    assert usual.automatic.rows == 890
    assert usual.automatic.coverage == 1.0
    few = promise_on(SURE + sparse, bad=2)
    assert (few.automatic.rows, few.automatic.eligible_rows) == (800, 800)
    assert few.automatic.coverage == pytest.approx(800 / 890)
    line = {row.label: row for row in few.categories}["bad"]
    assert (line.exemplars, line.has_own_guarantee, line.automated) == (2, False, False)
    assert line.automatic == 90


def test_too_few_exemplars_are_automated_where_their_own_rows_prove_it() -> None:
    few = promise_on(SURE + rows(120, "bad", "bad", 0.999), bad=2)
    line = {row.label: row for row in few.categories}["bad"]
    assert (line.has_own_guarantee, line.automated) == (True, True)
    assert few.automatic.coverage == 1.0
    wrong = promise_on(SURE + rows(120, "bad", "hage", 0.999), bad=2)
    assert not {row.label: row for row in wrong.categories}["bad"].automated
    assert wrong.automatic.errors == 0


def test_a_threshold_of_zero_is_a_threshold() -> None:
    promise = promise_on(rows(200, "kran", "kran", 0.0))
    assert promise.automatic.threshold == 0.0
    assert promise.parent.eligible_rows == 0
    assert {row.label: row.automatic for row in promise.categories}["kran"] == 200


def test_a_label_newer_than_the_fit_is_not_tagged_by_its_parent() -> None:
    exemplars = world(24, 24, seed=1)
    parents = {**PARENTS, "pianostemming": "inne"}
    fitted = Classifier.fit(exemplars, world(60, 60, seed=2), parents=parents)
    always = replace(fitted.guarantee.parent, threshold=0.0)
    fitted = replace(fitted, guarantee=replace(fitted.guarantee, parent=always))
    index = fitted.exemplar_model.index(exemplars)
    vector = np.eye(DIMENSION, dtype=np.float32)[[7]]
    index.update([900], ["stemme piano"], ["pianostemming"], vector)
    verdict = fitted.predict(index, vector, ["stemme piano"])[0]
    assert verdict.label == "pianostemming"
    assert (verdict.outcome, verdict.parent, verdict.threshold) == ("review", None, None)
