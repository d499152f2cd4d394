"""Sets that are hard to fit: wrong labels, one exemplar a category, one category of thousands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from statistics import mean

import numpy as np

from marketplace_ai.evaluation.evaluate import evaluate
from marketplace_ai.evaluation.inputs import Inputs
from marketplace_ai.management.console import progress
from marketplace_ai.text.labeled_csv import LabeledRows

from .inputs import encoded, public_split
from .public import SEEDS, SETS, above_nearest, figures
from .rows import Benchmark

WRONG = 0.02
#: The set, and the category that is told from all its others taken together.
LOPSIDED, ONE = "massive_sv-SE", "alarm_set"


def benchmarks() -> Iterator[Benchmark]:
    for name in SETS:
        yield Benchmark(
            f"first choice lost to {WRONG:.0%} wrong labels: {name}, all rows",
            "points", 1.0, "lower", partial(lost_to_wrong_labels, name), public=True,
        )  # fmt: skip
        yield Benchmark(
            f"first choice minus the single nearest exemplar: {name}, 1 a category",
            "points", 0.0, "higher", partial(above_nearest, name, 1), public=True,
        )  # fmt: skip
    yield Benchmark(
        f"first choice minus the better logistic regression: {LOPSIDED}, one category and the rest",
        "points", -0.5, "higher", lopsided, public=True,
    )  # fmt: skip


def lost_to_wrong_labels(name: str) -> float:
    """Points of first choices lost when so many training labels are changed to others of the
    same set, drawn at random: mean of the draws."""
    inputs = public_split(name, "train", "test")
    found = []
    for seed in SEEDS:
        noisy = replace(inputs, train=_mislabeled(inputs.train, seed))
        train, test = encoded(noisy)
        found.append(evaluate(train, test, with_baselines=False, progress=progress).figures)
    return float(
        100 * (figures(name, None, 0)["accuracy"] - mean(row["accuracy"] for row in found))
    )


def lopsided() -> float:
    """Two categories, one of them with more than 10,000 exemplars, by the better regression."""
    inputs = public_split(LOPSIDED, "train", "test")
    train, test = encoded(
        Inputs(_one_against_all(inputs.train), _one_against_all(inputs.test), None, {})
    )
    found = evaluate(train, test, progress=progress).figures
    baselines = found["baselines"]
    better = max(baselines[name]["accuracy"] for name in ("logistic", "logistic_both"))
    return float(100 * (found["accuracy"] - better))


def _mislabeled(rows: LabeledRows, seed: int) -> LabeledRows:
    random = np.random.default_rng(seed)
    names = sorted({answer for answers in rows.true_labels for answer in answers})
    wrong = set(random.permutation(len(rows))[: round(WRONG * len(rows))].tolist())
    answers = [
        (str(random.choice([name for name in names if name not in known])),)
        if i in wrong
        else known
        for i, known in enumerate(rows.true_labels)
    ]
    return replace(rows, true_labels=answers)


def _one_against_all(rows: LabeledRows) -> LabeledRows:
    answers = [(ONE,) if ONE in known else ("other",) for known in rows.true_labels]
    return replace(rows, true_labels=answers, parents={})
