from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketplace_ai.assessment.label_errors import DOUBT, suspected_labels

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]


def drawn(seed: int, rows: int, classes: int) -> tuple[Floats, Codes]:
    """Probabilities that mostly agree with labels, a tenth of which are wrong."""
    random = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), random.integers(0, classes, rows - classes)])
    scores = random.normal(0, 1, (rows, classes))
    scores[np.arange(rows), labels] += 3
    wrong = np.flatnonzero(random.random(rows) < 0.1)
    labels[wrong] = random.integers(0, classes, len(wrong))
    labels[:classes] = np.arange(classes)
    grown = np.exp(2 * scores)
    return grown / grown.sum(axis=1, keepdims=True), labels


def test_a_label_that_the_text_contradicts_is_suspected_and_a_doubtful_one_is_not() -> None:
    probabilities = np.array(
        [[0.9, 0.1, 0.0], [0.8, 0.2, 0.0], [0.995, 0.002, 0.003], [0.1, 0.9, 0.0], [0.6, 0.4, 0.0]]
    )
    labels = np.array([0, 0, 1, 1, 1])
    suspected, others = suspected_labels(probabilities, labels)
    assert (suspected.tolist(), others.tolist()) == ([2], [0])


def test_the_most_suspicious_comes_first() -> None:
    probabilities = np.array([[0.95, 0.05]] * 8 + [[0.05, 0.95]] * 8 + [[0.991, 0.009]])
    probabilities = np.vstack([probabilities, [[0.999, 0.001]]])
    labels = np.array([0] * 8 + [1] * 10)
    assert suspected_labels(probabilities, labels)[0].tolist() == [17, 16]


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10**6), rows=st.integers(20, 200), classes=st.integers(2, 8))
def test_what_is_suspected_has_another_first_choice(seed: int, rows: int, classes: int) -> None:
    probabilities, labels = drawn(seed, rows, classes)
    labels[-1] = -1  # a label that is no class cannot be suspected
    suspected, others = suspected_labels(probabilities, labels)
    assert len(set(suspected.tolist())) == len(suspected)
    assert (probabilities[suspected].argmax(axis=1) != labels[suspected]).all()
    assert (others != labels[suspected]).all()
    assert rows - 1 not in suspected
    leads = probabilities[suspected, others] - probabilities[suspected, labels[suspected]]
    assert (np.diff(leads) <= 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_cleanlab_suspects_the_same_rows_but_for_the_doubtful_ones(seed: int) -> None:
    from cleanlab.filter import find_label_issues

    probabilities, labels = drawn(seed, 400, 5)
    theirs = find_label_issues(labels, probabilities, filter_by="confident_learning", n_jobs=1)
    doubtful = probabilities[np.arange(len(labels)), labels] > DOUBT
    doubtful |= probabilities.max(axis=1) < 0.5
    expected = np.flatnonzero(theirs & ~doubtful)
    assert len(expected) > 5
    assert sorted(suspected_labels(probabilities, labels)[0].tolist()) == expected.tolist()
