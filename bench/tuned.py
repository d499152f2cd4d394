"""Benchmarks of a tuned encoder where it was not taught: on the stream and on unlike texts.

What calibrates is scored out of fold; ``unlike_nb.csv`` is only asked about.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial
from typing import NamedTuple

import numpy as np

from marketplace_ai.classifier import Classifier
from marketplace_ai.comparison.scoring import Scored, score_new_rows, score_out_of_fold
from marketplace_ai.evaluation.inputs import Inputs, Source, read_inputs
from marketplace_ai.evaluation.vectors import EncodedRows, encode_inputs
from marketplace_ai.management.console import progress

from .inputs import CATALOGUE, ROOT, encoder, labeled
from .rows import Benchmark
from .training import CARD, CATALOGUE_FILE, load_trained, trained

SETS = ("calibration_nb", "unlike_nb")


class Shares(NamedTuple):
    """Shares of the rows of a set: right by the nearest exemplar (of those with a category), right
    by the whole classifier, and given a category without a person."""

    nearest: float
    ours: float
    automatic: float


def benchmarks() -> Iterator[Benchmark]:
    for name in SETS:
        yield Benchmark(
            f"tuned encoder: first choice on {name}, nearest by embedding, points gained",
            "points", 10, "higher", partial(points_gained, name, "nearest"),
        )  # fmt: skip
        for figure, what in (("ours", "first choice"), ("automatic", "automatic")):
            yield Benchmark(
                f"tuned encoder: {what} on {name}, ours, points gained",
                "points", 0, "higher", partial(points_gained, name, figure),
            )  # fmt: skip


def points_gained(name: str, figure: str) -> float:
    """The encoder trained by the defaults less the bundled one."""
    before, after = (float(getattr(shares(tuned)[name], figure)) for tuned in (False, True))
    return 100 * (after - before)


@cache
def shares(tuned: bool) -> dict[str, Shares]:
    """The figures of both sets."""
    inputs = _inputs()
    text_encoder = load_trained(trained(CATALOGUE_FILE, CARD)[0]) if tuned else encoder()
    train, unlike, calibration = encode_inputs(text_encoder, inputs, progress=progress)
    exemplars = labeled(train)
    classifier = Classifier.fit(exemplars, labeled(calibration), parents=inputs.parents)
    scored = {
        "calibration_nb": score_out_of_fold(classifier, labeled(calibration)),
        "unlike_nb": score_new_rows(classifier, exemplars, None, labeled(unlike)),
    }
    rows = {"calibration_nb": calibration, "unlike_nb": unlike}
    return {name: _shares(scored[name], train, rows[name]) for name in SETS}


@cache
def _inputs() -> Inputs:
    return read_inputs(
        Source(CATALOGUE_FILE),
        Source(str(ROOT / "unlike_nb.csv")),
        Source(str(CATALOGUE / "calibration_nb.csv")),
        catalog=str(CATALOGUE / "home_services.csv"),
    )


def _shares(scored: Scored, train: EncodedRows, rows: EncodedRows) -> Shares:
    nearest = (rows.vectors @ train.vectors.T).argmax(axis=1)
    hits = [
        train.rows.labels[exemplar] == label
        for exemplar, label in zip(nearest, rows.rows.labels, strict=True)
        if label is not None
    ]
    return Shares(
        float(np.mean(hits)), float(scored.correct.mean()), float(scored.automatic.mean())
    )
