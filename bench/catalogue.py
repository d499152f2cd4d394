"""The demo's catalogue: what is decided without a person, and what is right."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from scipy.stats import binomtest

from marketplace_ai.classifier import Classifier
from marketplace_ai.evaluation.evaluate import Evaluation, evaluate
from marketplace_ai.evaluation.metrics import expected_calibration_error
from marketplace_ai.guarantee.target import DEFAULT_TARGET
from marketplace_ai.management.console import progress

from .inputs import catalogue, encoded, labeled, out_of_fold
from .rows import Benchmark, NotMeasured

TARGET = DEFAULT_TARGET


def benchmarks() -> Iterator[Benchmark]:
    yield Benchmark(
        "catalogue: calibration_nb decided automatically", "share", 0.60, "higher", guaranteed
    )
    yield Benchmark(
        "catalogue: postings_nb decided automatically", "share", 0.75, "higher", automatic
    )
    yield Benchmark(
        "catalogue: p value of the errors among postings_nb's automatic",
        "", 0.05, "higher", p_value,
    )  # fmt: skip
    yield Benchmark(
        "catalogue: first choice on calibration_nb, cross-fitted",
        "share", 0.90, "higher", cross_fitted,
    )  # fmt: skip
    yield Benchmark(
        "catalogue: first choice on calibration_nb, fitted on exemplars alone",
        "share", 0.90, "higher", uncalibrated,
    )  # fmt: skip
    yield Benchmark("catalogue: first choice on postings_nb", "share", None, "higher", first_choice)
    yield Benchmark(
        "calibration error (ECE): calibration_nb, cross-fitted",
        "", 0.03, "lower", calibration_error,
    )  # fmt: skip


def guaranteed() -> float:
    """Share of calibration_nb that the guarantee covers, by out-of-fold probabilities."""
    return evaluated().guarantee.automatic.coverage


def automatic() -> float:
    """Share of postings_nb given a leaf without a person."""
    return float(evaluated().figures["auto"]["coverage"])


def p_value() -> float:
    """The chance of so many errors or more if exactly the guaranteed share were right."""
    auto = evaluated().figures["auto"]
    if not auto["n"]:
        raise NotMeasured("no row of postings_nb was decided automatically")
    test = binomtest(auto["errors"], auto["n"], TARGET.max_error_rate, alternative="greater")
    return float(test.pvalue)


def cross_fitted() -> float:
    """Over calibration_nb, each row by a calibration fitted on the other folds."""
    share = evaluated().guarantee.first_choice
    if share is None:
        raise NotMeasured("no row of calibration_nb has a category")
    return share


def uncalibrated() -> float:
    """Over calibration_nb, where no labeled posting fitted anything, the prior included."""
    train, _, calibration = encoded(catalogue())
    found = evaluate(
        train, calibration, parents=catalogue().parents, with_baselines=False, progress=progress
    )
    return float(found.figures["accuracy"])


def first_choice() -> float:
    return float(evaluated().figures["accuracy"])


def calibration_error() -> float:
    """ECE of the first label's probability, "none" being a label like any other."""
    scored = out_of_fold(fitted())
    return expected_calibration_error(scored.probability, scored.first_choice == scored.y_true)


@cache
def evaluated() -> Evaluation:
    """Fitted on exemplars_nb, certified on calibration_nb, postings_nb predicted."""
    return evaluate(
        *encoded(catalogue()),
        parents=catalogue().parents,
        target=TARGET,
        with_baselines=False,
        progress=progress,
    )


@cache
def fitted() -> Classifier:
    """The same fit, with the scores of calibration_nb's rows, which an evaluation drops."""
    train, _, calibration = encoded(catalogue())
    return Classifier.fit(
        labeled(train),
        labeled(calibration),
        target=TARGET,
        parents=catalogue().parents,
    )
