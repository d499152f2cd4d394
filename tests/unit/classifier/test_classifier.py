"""The fitted classifier: its answers, what explains them, its bytes, and odd inputs."""

from __future__ import annotations

import json

import numpy as np
import pytest

from marketplace_ai.classifier import ArtifactError, Classifier, LabeledTexts, Prediction
from marketplace_ai.classifier.artifact import FORMAT, pack
from marketplace_ai.classifier.index import ExemplarIndex
from marketplace_ai.guarantee.target import Target

from .factories import DIMENSION, PARENTS, world

EXEMPLARS = world(24, 24, seed=1)
POSTINGS = world(10, 10, seed=3)


def index_of(classifier: Classifier, exemplars: LabeledTexts) -> ExemplarIndex:
    index = classifier.new_index()
    ids = range(100, 100 + len(exemplars))
    index.update(ids, exemplars.texts, exemplars.labels, exemplars.vectors)
    return index


def decide(
    classifier: Classifier, exemplars: LabeledTexts, postings: LabeledTexts
) -> list[Prediction]:
    index = index_of(classifier, exemplars)
    return classifier.predict(index, postings.vectors, postings.texts)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier.fit(EXEMPLARS, world(60, 60, seed=2), parents=PARENTS)


@pytest.fixture(scope="module")
def verdicts(classifier: Classifier) -> list[Prediction]:
    return decide(classifier, EXEMPLARS, POSTINGS)


def test_clear_postings_are_tagged_and_what_fits_nothing_is_not(
    verdicts: list[Prediction],
) -> None:
    trades = [v for v, label in zip(verdicts, POSTINGS.labels, strict=True) if label]
    assert sum(v.outcome == "automatic" for v in trades) >= 0.8 * len(trades)
    for verdict, label in zip(verdicts, POSTINGS.labels, strict=True):
        if verdict.outcome == "automatic":
            assert verdict.label == label
            assert verdict.threshold is not None
            assert verdict.probability >= verdict.threshold
        if verdict.outcome == "none":
            assert label is None


def test_choices_descend_and_the_best_category_is_never_none(verdicts: list[Prediction]) -> None:
    for verdict in verdicts:
        probabilities = [probability for _, probability in verdict.choices]
        assert probabilities == sorted(probabilities, reverse=True)
        assert 0 <= min(probabilities) <= max(probabilities) <= 1
        assert sum(probabilities) <= 1 + 1e-6
        assert verdict.choices[0] == (verdict.label, verdict.probability)
        ranked = [label for label, _ in verdict.choices if label is not None]
        assert verdict.best_category == ranked[0]


def test_shares_add_up_to_the_score_that_decided(
    classifier: Classifier, verdicts: list[Prediction]
) -> None:
    labels = dict(enumerate(EXEMPLARS.labels, start=100))
    for verdict in verdicts:
        assert len(verdict.matches) == 20
        shares = [match.share for match in verdict.matches]
        assert shares == sorted(shares, reverse=True)
        for match in verdict.matches:
            assert match.label == labels[match.exemplar_id]
            assert -1 <= match.similarity <= 1 + 1e-6
        own_matches = sum(m.share for m in verdict.matches if m.label == verdict.label)
        assert own_matches + verdict.head_share + verdict.other_share == pytest.approx(
            verdict.score
        )
    # Where every exemplar is shown nothing may be left over: the rest is no filler.
    few = LabeledTexts(EXEMPLARS.texts[:24:2], EXEMPLARS.vectors[:24:2], EXEMPLARS.labels[:24:2])
    shown = decide(classifier, few, POSTINGS)
    assert all(v.other_share == pytest.approx(0, abs=1e-6) for v in shown)


def test_a_description_has_half_of_what_its_category_voted(classifier: Classifier) -> None:
    few = EXEMPLARS.take(np.arange(0, len(EXEMPLARS), 12))  # all are shown
    words = world(1, 0, seed=5).take(np.array([0, 1]))
    words = LabeledTexts(words.texts, words.vectors, ["maling", "rorlegger"])
    index = index_of(classifier, few)
    index.update([1, 2], words.texts, words.labels, words.vectors, described=[True, True])
    for verdict in classifier.predict(index, POSTINGS.vectors, POSTINGS.texts):
        own = {m.exemplar_id: m.share for m in verdict.matches if m.label == verdict.label}
        assert sum(own.values()) + verdict.head_share == pytest.approx(verdict.score)
        assert verdict.other_share == pytest.approx(0, abs=1e-6)
        for label, described in (("maling", 1), ("rorlegger", 2)):
            shares = {m.exemplar_id: m.share for m in verdict.matches if m.label == label}
            half = shares.pop(described)
            assert half == pytest.approx(sum(shares.values()), rel=1e-4)


def test_bytes_bring_back_a_classifier_that_answers_exactly_the_same() -> None:
    # Wrong answers among the labels keep every score unsure enough to show a difference.
    exemplars, postings = world(12, 12, seed=1, noise=1.5), world(10, 10, seed=3, noise=1.5)
    fitted = Classifier.fit(exemplars, world(20, 20, seed=2, wrong=0.3), parents=PARENTS)
    again = Classifier.from_bytes(fitted.to_bytes())
    assert decide(again, exemplars, postings) == decide(fitted, exemplars, postings)
    assert again.guarantee == fitted.guarantee
    assert again.to_bytes() == fitted.to_bytes()


@pytest.mark.slow
def test_the_same_seed_fits_the_same_classifier() -> None:
    first, second = (Classifier.fit(EXEMPLARS, world(20, 20, seed=2), seed=4) for _ in range(2))
    assert first.to_bytes() == second.to_bytes()


def test_damaged_bytes_are_refused(classifier: Classifier) -> None:
    good = classifier.to_bytes()
    changed = bytearray(good)
    changed[-100] ^= 1
    foreign = pack({}, {}).replace(FORMAT.encode(), b"marketplace_ai.classifier/9")
    renamed = pack({"idf": np.zeros(3, np.float32)}, {"names": []})
    for bad in [b"", b"\x80\x04pickle", good[:-1], good[: len(good) // 2], bytes(changed)]:
        with pytest.raises(ArtifactError, match="fit it again"):
            Classifier.from_bytes(bad)
    with pytest.raises(ArtifactError, match=r"classifier/9', expected"):
        Classifier.from_bytes(foreign)
    with pytest.raises(ArtifactError, match="other text features"):
        Classifier.from_bytes(renamed)


def test_the_report_is_plain_json(classifier: Classifier) -> None:
    report = json.loads(json.dumps(classifier.guarantee.as_dict(), allow_nan=False))
    assert report["calibrated_on"] == classifier.calibrated_on == "postings"
    assert report["rows"] == 300
    assert {row["label"] for row in report["categories"]} == set(PARENTS)


def test_a_new_exemplar_counts_at_once_even_of_a_category_unknown_to_the_fit(
    classifier: Classifier,
) -> None:
    index = index_of(classifier, EXEMPLARS)
    vector = np.eye(DIMENSION, dtype=np.float32)[[7]]
    before = classifier.predict(index, vector, ["stemme piano"])[0]
    assert before.best_category != "pianostemming"
    index.update([9], ["stemme piano"], ["pianostemming"], vector)
    after = classifier.predict(index, vector, ["stemme piano"])[0]
    assert after.best_category == "pianostemming"
    assert after.matches[0].exemplar_id == 9
    assert after.outcome == "review"  # no promise was ever made for it
    index.update([], [], [], np.zeros((0, DIMENSION), np.float32), [9])
    assert classifier.predict(index, vector, ["stemme piano"])[0] == before


def test_an_index_with_other_features_or_metric_is_refused(classifier: Classifier) -> None:
    other = Classifier.fit(world(5, 5, seed=9))
    plain = ExemplarIndex(DIMENSION, classifier.ngrams)
    for index in (index_of(other, EXEMPLARS), plain):
        with pytest.raises(ValueError, match="for another classifier"):
            classifier.predict(index, POSTINGS.vectors, POSTINGS.texts)


def test_no_posting_and_an_empty_index_are_answered(classifier: Classifier) -> None:
    index = classifier.new_index()
    assert classifier.predict(index, np.zeros((0, DIMENSION), np.float32), []) == []
    verdict = classifier.predict(index, POSTINGS.vectors[:1], POSTINGS.texts[:1])[0]
    assert verdict.matches == ()


@pytest.mark.slow
def test_without_labelled_postings_exemplars_stand_in_and_it_says_so() -> None:
    fitted = Classifier.fit(EXEMPLARS)
    assert fitted.calibrated_on == "exemplars"
    assert fitted.guarantee.rows == len(EXEMPLARS)
    assert fitted.guarantee.first_choice is not None
    assert fitted.guarantee.first_choice > 0.9


@pytest.mark.parametrize(
    "labels",
    [["a"], ["a", "b"], ["a", "a"], ["a", None], ["a", "b", "b", "b", None], ["a", "b", "c"]],
)
@pytest.mark.parametrize("calibrated", [False, True])
def test_tiny_inputs_give_an_answer_and_promise_nothing(
    labels: list[str | None], calibrated: bool
) -> None:
    vectors = np.eye(DIMENSION, dtype=np.float32)[: len(labels)]
    exemplars = LabeledTexts(
        [f"tekst om {n}" * (n + 1) for n in range(len(labels))], vectors, labels
    )
    fitted = Classifier.fit(exemplars, world(1, 1, seed=5) if calibrated else None)
    assert fitted.guarantee.automatic.threshold is None
    assert fitted.guarantee.automatic.rows_needed > 0
    for label, verdict in zip(labels, decide(fitted, exemplars, exemplars), strict=True):
        assert verdict.outcome == "review"
        assert label is None or verdict.best_category == label


@pytest.mark.slow
def test_without_none_exemplars_what_is_far_from_everything_is_not_tagged() -> None:
    exemplars = world(24, 0, seed=1, noise=0.2)
    fitted = Classifier.fit(exemplars, world(60, 0, seed=2, noise=0.2))
    known = decide(fitted, exemplars, world(10, 0, seed=3, noise=0.2))
    lost = world(0, 30, seed=4, noise=0.2)
    away = np.zeros((30, DIMENSION), np.float32)
    away[:, 8] = 2.0  # a direction that no exemplar has
    strays = decide(fitted, exemplars, LabeledTexts(lost.texts, lost.vectors + away, lost.labels))
    assert sum(v.outcome == "automatic" for v in known) > 25
    assert sum(v.outcome == "automatic" for v in strays) == 0
    assert sum(v.label is None for v in strays) >= 25


@pytest.mark.parametrize("exemplars", [world(0, 0, seed=1), world(0, 3, seed=1)])
def test_nothing_to_vote_is_an_error_that_says_what_to_do(exemplars: LabeledTexts) -> None:
    with pytest.raises(ValueError, match="import_exemplars"):
        Classifier.fit(exemplars)


def test_input_that_does_not_belong_together_is_refused() -> None:
    wide = LabeledTexts(["a"], np.ones((1, DIMENSION + 1)), ["maling"])
    with pytest.raises(ValueError, match="same encoder"):
        Classifier.fit(EXEMPLARS, wide)
    with pytest.raises(ValueError, match="one vector and one label"):
        LabeledTexts(["a", "b"], np.ones((1, 3)), ["x", "y"])
    with pytest.raises(ValueError, match="row 1 is zero or not finite"):
        LabeledTexts(["a", "b"], np.array([[1.0, 0], [np.nan, 1]]), ["x", "y"])
    with pytest.raises(ValueError, match="lie between 0 and 1"):
        Classifier.fit(EXEMPLARS, target=Target(97))


LAWNS = LabeledTexts(["klippe gress og plen"], np.eye(16, dtype=np.float32)[2:3], ["plen"])


@pytest.mark.slow
def test_a_new_category_is_heard_by_its_exemplars_and_its_description_alone() -> None:
    """Of 24 each the one with a description has a pattern from 12 on, any other always."""
    rows = world(24, 24, seed=1)
    of_lawns = [i for i, label in enumerate(rows.labels) if label == "plen"]
    for count, words, has_pattern in (
        (3, LAWNS, False), (11, LAWNS, False), (12, LAWNS, True), (3, None, True),
    ):  # fmt: skip
        kept = np.setdiff1d(np.arange(len(rows)), of_lawns[count:])
        fitted = Classifier.fit(rows.take(kept), world(20, 20, seed=2), descriptions=words)
        code = fitted.classes.index("plen")
        assert (code in fitted.exemplar_model.linear_heads.codes) == has_pattern
        assert (fitted.calibration.opinion_pool.prior_correction[code] == 0) == (not has_pattern)
    fewer = rows.take(np.setdiff1d(np.arange(len(rows)), of_lawns[3:]))
    few = Classifier.fit(fewer, descriptions=LAWNS)
    assert "plen" in {row.label for row in few.guarantee.categories}
    index = few.exemplar_model.index(rows)
    asked = rows.take(np.array(of_lawns[10:]))
    verdicts = few.predict(index, asked.vectors, asked.texts)
    assert np.mean([verdict.label == "plen" for verdict in verdicts]) > 0.8


@pytest.mark.slow
def test_descriptions_vote_and_no_head_is_fitted_on_them() -> None:
    rows = world(24, 24, seed=1)
    words = LabeledTexts(
        ["klippe gress og plen", "stemme piano"], np.eye(16, dtype=np.float32)[:2],
        ["plen", "pianostemming"],
    )  # fmt: skip
    plain = Classifier.fit(rows, world(20, 20, seed=2))
    said = Classifier.fit(rows, world(20, 20, seed=2), descriptions=words)
    assert said.classes == plain.classes
    heads = said.exemplar_model.linear_heads
    assert heads.codes.tolist() == plain.exemplar_model.linear_heads.codes.tolist()
    # Their words weigh as those of exemplars do: postings are compared with both.
    assert not np.array_equal(said.ngrams.idf, plain.ngrams.idf)
    assert said.guarantee.rows == plain.guarantee.rows
    assert said.out_of_fold is not None and plain.out_of_fold is not None
    assert not np.array_equal(said.out_of_fold.pooled, plain.out_of_fold.pooled)


def test_a_few_labels_beside_descriptions_take_nothing_from_the_other_categories() -> None:
    """A head that has seen one posting each of some categories would choose among these only."""
    words = world(3, 0, seed=4, noise=0.2)
    postings = world(10, 0, seed=3, noise=0.2)
    labels = sorted(set(words.labels), key=str)
    taught = world(1, 0, seed=5, noise=0.2)
    some = [i for i, label in enumerate(taught.labels) if label in labels[: len(labels) // 2]]

    def right(exemplars: LabeledTexts) -> float:
        fitted = Classifier.fit(exemplars, descriptions=words)
        index = fitted.exemplar_model.index(exemplars, words)
        found = fitted.predict(index, postings.vectors, postings.texts)
        return float(np.mean([p.label == x for p, x in zip(found, postings.labels, strict=True)]))

    nothing = taught.take(np.zeros(0, dtype=np.intp))
    assert right(taught.take(np.array(some, dtype=np.intp))) >= right(nothing) - 0.02


def test_descriptions_alone_propose_and_guarantee_nothing() -> None:
    said = world(6, 0, seed=4, noise=0.2)
    nothing = said.take(np.zeros(0, dtype=np.intp))
    classifier = Classifier.fit(nothing, descriptions=said)
    assert set(classifier.classes) == {*said.labels, None}
    assert classifier.guarantee.automatic.threshold is None
    assert classifier.guarantee.rows == 0
    kept = Classifier.from_bytes(classifier.to_bytes())
    index = kept.exemplar_model.index(nothing, said)
    postings = world(10, 0, seed=3, noise=0.2)
    predictions = kept.predict(index, postings.vectors, postings.texts)
    assert np.mean([p.label == x for p, x in zip(predictions, postings.labels, strict=True)]) > 0.8
    assert {prediction.outcome for prediction in predictions} == {"review"}
    assert all(0 < prediction.probability <= 1 for prediction in predictions)


def test_nothing_that_could_vote_is_refused_with_the_cure() -> None:
    nothing = EXEMPLARS.take(np.zeros(0, dtype=np.intp))
    with pytest.raises(ValueError, match=r"no category has a description.*import_exemplars FILE"):
        Classifier.fit(nothing)
