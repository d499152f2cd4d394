"""Two classifiers on texts unlike the exemplars, and the checks that rest on them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from marketplace_ai.classifier import Classifier, LabeledTexts
from marketplace_ai.comparison.encoder_comparison import compare_encoders
from marketplace_ai.comparison.report import EncoderComparison, FailedCheck, UnlikeRows
from marketplace_ai.comparison.unlike_rows import Contender, compare_on_unlike
from marketplace_ai.promotion.checks import failed_checks
from tests.unit.classifier.factories import world

from .test_encoder_comparison import blurred, fit, wordless

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def exemplars() -> LabeledTexts:
    return wordless(world(30, 15, 1, noise=0.25))


@pytest.fixture(scope="module")
def rows() -> LabeledTexts:
    return wordless(world(60, 30, 2, noise=0.25))


@pytest.fixture(scope="module")
def further() -> LabeledTexts:
    rows = wordless(world(40, 0, 3, noise=0.25))
    return LabeledTexts(
        [f"{number} annerledes {text}" for number, text in enumerate(rows.texts)],
        rows.vectors,
        rows.labels,
    )


@pytest.fixture(scope="module")
def classifier(exemplars: LabeledTexts, rows: LabeledTexts) -> Classifier:
    return fit(exemplars, rows)


@pytest.fixture(scope="module")
def alike(classifier: Classifier, rows: LabeledTexts) -> EncoderComparison:
    return compare_encoders(classifier, classifier, rows)


def checks(
    classifier: Classifier, alike: EncoderComparison, unlike: UnlikeRows
) -> list[FailedCheck]:
    results = replace(alike, unlike=unlike)
    return [*failed_checks(classifier.guarantee, classifier.guarantee, results)]


def test_an_encoder_that_is_lost_there_fails_though_it_is_as_good_on_labeled_postings(
    classifier: Classifier,
    alike: EncoderComparison,
    exemplars: LabeledTexts,
    rows: LabeledTexts,
    further: LabeledTexts,
) -> None:
    good = Contender(classifier, exemplars, None, further)
    lost = replace(good, rows=blurred(further, share=0.5))
    unlike = compare_on_unlike(lost, good, rows)
    assert (unlike.rows, unlike.left_out) == (len(further), 0)
    assert unlike.first_choice.new < unlike.first_choice.old
    found = checks(classifier, alike, unlike)
    assert FailedCheck.UNLIKE_ACCURACY_DROP in found
    assert FailedCheck.UNLIKE_COVERAGE_DROP in found
    assert not checks(classifier, alike, compare_on_unlike(good, good, rows))
    assert not checks(classifier, alike, compare_on_unlike(good, lost, rows))


def test_wrong_categories_given_without_a_person(
    classifier: Classifier,
    alike: EncoderComparison,
    exemplars: LabeledTexts,
    rows: LabeledTexts,
    further: LabeledTexts,
) -> None:
    good = Contender(classifier, exemplars, None, further)
    # Vectors of other rows: as certain as ever, and wrong.
    sure = replace(
        good, rows=LabeledTexts(further.texts, further.vectors[::-1].copy(), further.labels)
    )
    unlike = compare_on_unlike(sure, good, rows)
    assert unlike.harmless.new < unlike.harmless.old
    assert FailedCheck.UNLIKE_ERRORS in checks(classifier, alike, unlike)


def test_what_nearly_repeats_an_exemplar_or_a_labeled_posting_is_left_out(
    classifier: Classifier, exemplars: LabeledTexts, rows: LabeledTexts, further: LabeledTexts
) -> None:
    known = [exemplars.texts[0], rows.texts[0]]
    texts = [*known, *further.texts[2:]]
    asked = LabeledTexts(texts, further.vectors, further.labels)
    both = Contender(classifier, exemplars, None, asked)
    unlike = compare_on_unlike(both, both, rows)
    assert unlike.left_out == 2
    assert unlike.rows + unlike.left_out == len(asked)
