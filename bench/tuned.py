"""Benchmarks of a tuned encoder where it was not taught, and of what the gate says of it.

Three trainings: by the defaults, and two that are spoiled on purpose. What calibrates is scored out
of fold; ``unlike_nb.csv`` is only asked about.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from marketplace_ai.classifier import Classifier, LabeledTexts
from marketplace_ai.comparison.encoder_comparison import compare_encoders
from marketplace_ai.comparison.report import FailedCheck, PairedDifference
from marketplace_ai.comparison.unlike_rows import Contender, compare_on_unlike
from marketplace_ai.evaluation.inputs import Inputs, Source, read_inputs
from marketplace_ai.evaluation.vectors import encode_inputs
from marketplace_ai.management.console import progress
from marketplace_ai.promotion.checks import failed_checks
from marketplace_ai.text.labeled_csv import read_rows

from .inputs import CATALOGUE, ROOT, encoder, labeled
from .rows import Benchmark, say
from .training import CARD, CATALOGUE_FILE, SETS, Setup, load_trained, trained, write_rows

ROWS = ("calibration_nb", "unlike_nb")
DEFAULTS = "defaults"
SHUFFLED, COLLAPSED = "shuffled labels", "a learning rate far too high"
#: A tenth of the steps, at rates that spoil an encoder in so few.
SPOILED = {
    SHUFFLED: Setup(SETS, ("--epochs", "0.1", "--learning-rate", "3e-4")),
    COLLAPSED: Setup(SETS, ("--epochs", "0.1", "--learning-rate", "1e-2")),
}


class Compared(NamedTuple):
    """A tuned encoder beside the bundled one, on a set of labeled rows.

    ``nearest`` are the points gained by the nearest exemplar, of the rows with a category.
    """

    rows: int
    nearest: float
    first_choice: PairedDifference
    automatic: PairedDifference


def benchmarks() -> Iterator[Benchmark]:
    for name in ROWS:
        yield Benchmark(
            f"tuned encoder: first choice on {name}, nearest by embedding, points gained",
            "points", 10, "higher", partial(nearest_gained, name),
        )  # fmt: skip
        for figure, what in (("first_choice", "first choice"), ("automatic", "automatic")):
            yield Benchmark(
                f"tuned encoder: {what} on {name}, ours, points gained",
                "points", 0, "higher", partial(points_gained, name, figure),
            )  # fmt: skip
    yield Benchmark(
        "tuned encoder: the gate's failed checks", "checks", 0, "lower",
        partial(number_failed, DEFAULTS),
    )  # fmt: skip
    for training in SPOILED:
        yield Benchmark(
            f"tuned encoder: the gate's failed checks, spoiled by {training}",
            "checks", 1, "higher", partial(number_failed, training),
        )  # fmt: skip


def nearest_gained(name: str) -> float:
    return compared(DEFAULTS)[0][name].nearest


def points_gained(name: str, figure: str) -> float:
    """The encoder trained by the defaults less the bundled one."""
    found = compared(DEFAULTS)[0][name]
    pair: PairedDifference = getattr(found, figure)
    say(f"{figure} on {name}: {pair.new} of {found.rows}, {pair.old} before")
    return 100 * pair.difference


def number_failed(training: str) -> float:
    failed = compared(training)[1]
    say(f"{training}: {', '.join(failed) or 'passes'}")
    return len(failed)


@cache
def compared(training: str) -> tuple[dict[str, Compared], tuple[FailedCheck, ...]]:
    """A training beside the bundled encoder on both sets, and the checks of the gate it fails."""
    (new, labels, nearest), (old, _, nearest_before) = _contender(training), _contender(None)
    on_rows = compare_encoders(new.classifier, old.classifier, labels)
    on_unlike = compare_on_unlike(new, old, labels)
    failed = failed_checks(
        new.classifier.guarantee, old.classifier.guarantee, replace(on_rows, unlike=on_unlike)
    )
    points = [100 * (after - before) for after, before in zip(nearest, nearest_before, strict=True)]
    found = (
        Compared(on_rows.rows, points[0], on_rows.first_choice, on_rows.automatic),
        Compared(on_unlike.rows, points[1], on_unlike.first_choice, on_unlike.automatic),
    )
    return dict(zip(ROWS, found, strict=True)), tuple(failed)


@cache
def _contender(training: str | None) -> tuple[Contender, LabeledTexts, tuple[float, float]]:
    """The classifier of an encoder (None: the bundled one), the rows that calibrated it, and the
    share of both sets that the nearest exemplar gets right."""
    inputs = _inputs()
    text_encoder = encoder() if training is None else load_trained(_directory(training))
    encoded = encode_inputs(text_encoder, inputs, progress=progress)
    exemplars, unlike, calibration = map(labeled, encoded)
    classifier = Classifier.fit(exemplars, calibration, parents=inputs.parents)
    shares = _nearest(exemplars, calibration), _nearest(exemplars, unlike)
    return Contender(classifier, exemplars, None, unlike), calibration, shares


def _directory(training: str) -> Path:
    if training == DEFAULTS:
        return trained(CATALOGUE_FILE, CARD)[0]
    file = _shuffled() if training == SHUFFLED else CATALOGUE_FILE
    return trained(file, SPOILED[training])[0]


@cache
def _shuffled() -> str:
    """The exemplars, each with the label of another."""
    rows = read_rows(CATALOGUE_FILE)
    order = np.random.default_rng(0).permutation(len(rows))
    return write_rows("shuffled", rows.texts, [rows.labels[row] for row in order])


@cache
def _inputs() -> Inputs:
    return read_inputs(
        Source(CATALOGUE_FILE),
        Source(str(ROOT / "unlike_nb.csv")),
        Source(str(CATALOGUE / "calibration_nb.csv")),
        catalog=str(CATALOGUE / "home_services.csv"),
    )


def _nearest(exemplars: LabeledTexts, rows: LabeledTexts) -> float:
    nearest = (rows.vectors @ exemplars.vectors.T).argmax(axis=1)
    return float(
        np.mean(
            [
                exemplars.labels[exemplar] == label
                for exemplar, label in zip(nearest, rows.labels, strict=True)
                if label is not None
            ]
        )
    )
