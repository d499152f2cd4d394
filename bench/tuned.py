"""Benchmarks of a tuned encoder where it was not taught, and of what the gate says of it.

Three trainings: by the defaults, and two that are spoiled on purpose. What calibrates is scored out
of fold; ``unlike_nb.csv`` is only asked about.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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


Shares = tuple[float, float]


class Compared(NamedTuple):
    """A tuned encoder beside the bundled one, on a set of labeled rows.

    ``nearest`` and ``vote``: the shares that the nearest exemplar and the vote alone get right, by
    the tuned one and by the other. ``errors``: of the rows decided without a person.
    """

    rows: int
    nearest: Shares
    vote: Shares
    first_choice: PairedDifference
    automatic: PairedDifference
    errors: tuple[int, int]


def benchmarks() -> Iterator[Benchmark]:
    for name in ROWS:
        for figure, what, goal in (("nearest", "nearest by embedding", 10), ("vote", "vote", 0)):
            yield Benchmark(
                f"tuned encoder: first choice on {name}, {what}, points gained",
                "points", goal, "higher", partial(share_gained, name, figure),
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


def share_gained(name: str, figure: str) -> float:
    """The encoder trained by the defaults less the bundled one, as below."""
    after, before = getattr(compared(DEFAULTS)[0][name], figure)
    say(f"{figure} on {name}: {after:.1%}, {before:.1%} before")
    return float(100 * (after - before))


def points_gained(name: str, figure: str) -> float:
    found = compared(DEFAULTS)[0][name]
    pair: PairedDifference = getattr(found, figure)
    say(
        f"{figure} on {name}: {pair.new} of {found.rows}, {pair.old} before ({pair.low:+.1%} to "
        f"{pair.high:+.1%}); wrong among the automatic: {found.errors[0]}, {found.errors[1]} before"
    )
    return 100 * pair.difference


def number_failed(training: str) -> float:
    rows, failed = compared(training)
    for name, each in rows.items():
        first, automatic = each.first_choice, each.automatic
        say(
            f"{training}, {name}: first choice {first.new} of {each.rows}, {first.old} before; "
            f"automatic {automatic.new}, {automatic.old} before"
        )
    say(f"{training}: {', '.join(failed) or 'passes'}")
    return len(failed)


@cache
def compared(training: str) -> tuple[dict[str, Compared], tuple[FailedCheck, ...]]:
    """A training beside the bundled encoder on both sets, and the checks of the gate it fails."""
    (new, labels), (old, old_labels) = _contender(training), _contender(None)
    on_rows = compare_encoders(new.classifier, old.classifier, labels)
    on_unlike = compare_on_unlike(new, old, labels)
    failed = failed_checks(
        new.classifier.guarantee, old.classifier.guarantee, replace(on_rows, unlike=on_unlike)
    )
    errors = on_rows.new.errors, on_rows.old.errors
    unlike_errors = on_unlike.rows - on_unlike.harmless.new, on_unlike.rows - on_unlike.harmless.old
    found = {
        "calibration_nb": Compared(
            on_rows.rows,
            (_nearest(new, labels), _nearest(old, old_labels)),
            (_vote(new, labels), _vote(old, old_labels)),
            on_rows.first_choice, on_rows.automatic, errors,
        ),
        "unlike_nb": Compared(
            on_unlike.rows,
            (_nearest(new, new.rows), _nearest(old, old.rows)),
            (_vote(new, new.rows), _vote(old, old.rows)),
            on_unlike.first_choice, on_unlike.automatic, unlike_errors,
        ),
    }  # fmt: skip
    return found, tuple(failed)


@cache
def _contender(training: str | None) -> tuple[Contender, LabeledTexts]:
    """The classifier of an encoder (None: the bundled one), and the rows that calibrated it."""
    inputs = _inputs()
    text_encoder = encoder() if training is None else load_trained(_directory(training))
    encoded = encode_inputs(text_encoder, inputs, progress=progress)
    exemplars, unlike, calibration = map(labeled, encoded)
    classifier = Classifier.fit(exemplars, calibration, parents=inputs.parents)
    return Contender(classifier, exemplars, None, unlike), calibration


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


def _nearest(by: Contender, rows: LabeledTexts) -> float:
    nearest = (rows.vectors @ by.exemplars.vectors.T).argmax(axis=1)
    return _right([by.exemplars.labels[exemplar] for exemplar in nearest], rows)


def _vote(by: Contender, rows: LabeledTexts) -> float:
    model = by.classifier.exemplar_model
    votes = model.score_rows(model.index(by.exemplars), rows).log_density.argmax(axis=1)
    return _right([model.classes[column] for column in votes], rows)


def _right(labels: Sequence[str | None], rows: LabeledTexts) -> float:
    """The share of right ones, of the rows with a category."""
    pairs = zip(labels, rows.labels, strict=True)
    return float(np.mean([label == right for label, right in pairs if right is not None]))
