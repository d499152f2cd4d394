"""Few and many exemplars, few and many categories, and labels that are wrong."""

from __future__ import annotations

import numpy as np
import pytest

from marketplace_ai.classifier import Classifier, LabeledTexts, Prediction

from .factories import world

pytestmark = pytest.mark.slow

DIMENSION = 64


def categories(names: int, each: list[int], seed: int) -> LabeledTexts:
    """``each`` texts of every one of ``names`` categories: a word of its own, a direction of
    its own, both blurred. The words and directions are the same for every ``seed``."""
    centers = np.random.default_rng(0).standard_normal((names, DIMENSION))
    random = np.random.default_rng(seed)
    codes = np.repeat(np.arange(names), each)
    vectors = centers[codes] + 0.6 * random.standard_normal((len(codes), DIMENSION))
    texts = [f"ord{code * 7919 % 9973:04d} sted{random.integers(500)}" for code in codes]
    return LabeledTexts(texts, vectors.astype(np.float32), [f"c{code:03d}" for code in codes])


def decide(
    classifier: Classifier, exemplars: LabeledTexts, postings: LabeledTexts
) -> list[Prediction]:
    index = classifier.exemplar_model.index(exemplars)
    return classifier.predict(index, postings.vectors, postings.texts)


def right(verdicts: list[Prediction], postings: LabeledTexts) -> float:
    pairs = zip(verdicts, postings.labels, strict=True)
    return float(np.mean([verdict.best_category == label for verdict, label in pairs]))


@pytest.mark.parametrize(("names", "each"), [(500, 1), (200, 3)])
def test_hundreds_of_categories_of_a_few_exemplars_are_told_apart(names: int, each: int) -> None:
    exemplars, postings = categories(names, [each] * names, 1), categories(names, [1] * names, 2)
    fitted = Classifier.fit(exemplars)
    assert right(decide(fitted, exemplars, postings), postings) > 0.95


def test_a_category_of_thousands_does_not_drown_one_of_five() -> None:
    exemplars = categories(2, [3000, 5], 1)
    postings = categories(2, [100, 100], 2)
    fitted = Classifier.fit(exemplars)
    assert right(decide(fitted, exemplars, postings), postings) > 0.98


def test_a_few_wrong_labels_cost_next_to_nothing() -> None:
    postings = world(60, 20, seed=3)
    found = {}
    for wrong in (0.0, 0.02):
        exemplars = world(50, 20, seed=1, wrong=wrong)
        fitted = Classifier.fit(exemplars, world(100, 30, seed=2))
        assert fitted.guarantee.automatic.threshold is not None
        verdicts = decide(fitted, exemplars, postings)
        pairs = zip(verdicts, postings.labels, strict=True)
        found[wrong] = np.mean([verdict.label == label for verdict, label in pairs])
    assert found[0.02] >= found[0.0] - 0.02
