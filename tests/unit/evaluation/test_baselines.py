from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression

from marketplace_ai.classifier import LabeledTexts
from marketplace_ai.encoding import DummyEncoder
from marketplace_ai.evaluation import logistic
from marketplace_ai.evaluation.baselines import NAMES, baselines
from marketplace_ai.evaluation.evaluate import evaluate
from marketplace_ai.evaluation.lexical import agreement, nearest_by_text
from marketplace_ai.evaluation.logistic import compact, fit_path
from marketplace_ai.evaluation.vectors import EncodedRows
from marketplace_ai.text.labeled_csv import LabeledRows
from tests.unit.classifier.factories import PARENTS, world


def rows_of(labeled: LabeledTexts) -> LabeledRows:
    answers = [() if label is None else (label,) for label in labeled.labels]
    return LabeledRows("x.csv", range(len(answers)), list(labeled.texts), answers, None, {})


def test_neighbors_are_those_of_a_plain_loop() -> None:
    random = np.random.default_rng(0)
    exemplars = sp.csr_matrix(random.random((30, 8)).astype(np.float32))
    queries = sp.csr_matrix(random.random((9, 8)).astype(np.float32))
    found, cosines = nearest_by_text(exemplars, queries, 10)
    plain = queries.toarray() @ exemplars.toarray().T
    for row, similarity in enumerate(plain):
        assert found[row].tolist() == sorted(range(30), key=lambda i: -similarity[i])[:10]
        assert cosines[row] == pytest.approx(sorted(similarity, reverse=True)[:10])


def test_six_of_ten_must_agree() -> None:
    near = [0.9 - 0.01 * i for i in range(10)]
    assert agreement(["a"] * 6 + ["b"] * 4, near) == ("a", "a", True)
    # Equally often: the nearer ones first.
    assert agreement(["a"] * 5 + ["b"] * 5, near) == ("a", "a", False)
    assert agreement([None] * 6 + ["b"] * 4, near) == (None, "b", True)
    assert agreement([None] * 10, near) == (None, None, True)


def test_a_compact_design_fits_the_same_regression() -> None:
    random = np.random.default_rng(1)
    train = sp.random(40, 300, density=0.1, random_state=random, format="csr")
    other = sp.random(12, 300, density=0.1, random_state=random, format="csr")
    codes = np.arange(40) % 3
    machine = LogisticRegression(C=10.0, tol=1e-8, max_iter=5000)
    wide = machine.fit(train.toarray(), codes).decision_function(other.toarray())
    small, others = compact(train, other)
    assert small.shape == (40, 40)
    narrow = machine.fit(small.astype(float), codes).decision_function(others.astype(float))
    assert narrow == pytest.approx(wide, abs=1e-2)


def test_labels_without_a_row_are_never_chosen_and_one_label_needs_no_fit() -> None:
    train = np.eye(4, dtype=np.float32)
    [scores] = fit_path(train, np.array([0, 0, 2, 2]), train, [1.0])
    assert np.isneginf(scores[:, 1]).all()
    assert scores.argmax(axis=1).tolist() == [0, 0, 2, 2]
    [alone] = fit_path(train, np.array([1, 1, 1, 1]), train, [1.0])
    assert alone.argmax(axis=1).tolist() == [1, 1, 1, 1]


@pytest.mark.slow
def test_every_baseline_learns_and_what_is_tuned_is_said() -> None:
    exemplars, test = world(24, 12, 1), world(30, 10, 2)
    found = baselines(exemplars, rows_of(test), test.vectors)
    assert tuple(found) == NAMES
    assert all(row["accuracy"] > 0.6 for row in found.values()), found
    assert found["logistic"]["c"] in logistic.PATH
    assert found["logistic_both"]["text_scale"] > 0
    assert 0 < found["finn"]["coverage"] <= 1
    assert found["finn"]["precision"] > 0.6


def test_a_large_set_is_tuned_on_a_part_and_asked_on_the_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logistic, "ONE_FOLD_FROM", 50)
    monkeypatch.setattr(logistic, "COMPACT", 40)
    exemplars, test = world(24, 12, 1), world(30, 10, 2)
    found = baselines(exemplars, rows_of(test), test.vectors)
    assert found["logistic_both"]["accuracy"] > 0.8


@pytest.mark.slow
def test_the_test_rows_choose_nothing() -> None:
    """The settings found are the same whatever the test rows' answers are."""
    exemplars, test = world(24, 12, 1), world(30, 10, 2)
    right = baselines(exemplars, rows_of(test), test.vectors)["logistic_both"]
    shuffled = LabeledTexts(test.texts, test.vectors, list(reversed(test.labels)))
    wrong = baselines(exemplars, rows_of(shuffled), shuffled.vectors)["logistic_both"]
    assert (right["c"], right["text_scale"]) == (wrong["c"], wrong["text_scale"])
    assert right["accuracy"] > wrong["accuracy"]


@pytest.mark.slow
def test_a_whole_evaluation_in_process() -> None:
    def encoded(labeled: LabeledTexts) -> EncodedRows:
        return EncodedRows(rows_of(labeled), labeled.vectors)

    train, test = encoded(world(24, 24, 1)), encoded(world(30, 20, 2))
    blank = LabeledRows("x.csv", [9], ["..."], [()], None, {})
    with_blank = EncodedRows(
        LabeledRows("x.csv", [*test.rows.lines, 9], [*test.rows.texts, *blank.texts],
             [*test.rows.true_labels, ()], None, {}),
        np.vstack([test.vectors, test.vectors[:1]]),
    )  # fmt: skip
    found = evaluate(
        train, with_blank, encoded(world(60, 60, 3)), parents=PARENTS, with_baselines=False
    )
    assert found.figures["n"] == 141
    assert found.figures["accuracy"] > 0.8
    assert found.figures["auto"]["coverage"] > 0.3
    assert found.figures["none"]["n"] == 21
    assert found.figures["calibrated_on"] == "postings"
    # A text without a letter is left alone as a worker leaves it.
    assert found.rows[-1].prediction.outcome == "none"
    crossed = evaluate(train, test, parents=PARENTS, with_baselines=False)
    assert crossed.figures["calibrated_on"] == "exemplars"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("texts", [["male stue"], ["male stue"] * 6])
def test_exemplars_of_one_text_are_compared_all_the_same(texts: list[str]) -> None:
    exemplars = LabeledTexts(texts, DummyEncoder(16).encode(texts), ["maling"] * len(texts))
    rows = world(1, 1, seed=1)
    found = baselines(exemplars, rows_of(rows), rows.vectors)
    assert {figures["accuracy"] for figures in found.values()} == {0.25}
