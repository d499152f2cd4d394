"""Back ends of the bundled encoder: speed, agreement with torch, and the cost of int8."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np

from marketplace_ai.conf import conf
from marketplace_ai.encoding import EncoderError, TextEncoder, bundled_directory, load_encoder
from marketplace_ai.encoding.benchmark import Speed, compare
from marketplace_ai.encoding.onnx.exported import ExportKind, read_export
from marketplace_ai.encoding.onnx.parity import smallest_cosine
from marketplace_ai.evaluation.evaluate import evaluate
from marketplace_ai.evaluation.vectors import EncodedRows, encode_inputs
from marketplace_ai.management.console import progress

from .inputs import VECTORS, catalogue, encoded, public_file
from .rows import Benchmark, NotMeasured, say

#: Texts encoded in one round, drawn at random from each set, and rounds for the median.
NUM_TEXTS, ROUNDS = 256, 5
SETS = {
    "postings_nb": "postings of the catalogue",
    "massive_sv-SE": "massive_sv-SE",
    "banking77": "banking77",
}


def benchmarks() -> Iterator[Benchmark]:
    for name, title in SETS.items():
        for backend, goal in (("onnx", None), ("onnx-int8", 1.8)):
            yield Benchmark(
                f"encoding with {backend}, by torch in float32: {title}",
                "times", goal, "higher", partial(ratio, name, backend),
                public=name != "postings_nb",
            )  # fmt: skip
    yield Benchmark(
        "smallest cosine of onnx to torch: texts of the catalogue", "", 0.999, "higher", cosine
    )
    yield Benchmark("first choice lost by int8: calibration_nb", "points", 0.5, "lower", lost)


def ratio(name: str, backend: str) -> float:
    """How many times as fast as torch: the median, over rounds, of the ratio of seconds."""
    return speeds(name)[backend].ratio


@cache
def speeds(name: str) -> dict[str, Speed]:
    """Every back end by turns, with its own batches and threads."""
    measured = compare(
        {backend: encoder(backend).encode for backend in ("torch", "onnx", "onnx-int8")},
        texts(name),
        ROUNDS,
    )
    for backend, speed in measured.items():
        say(f"{name}: {backend} {speed.texts_a_second:,.0f} texts/s, {speed.ratio:.2f} times torch")
    return measured


def texts(name: str) -> list[str]:
    """Different texts of one set: equal ones are encoded once, which would flatter all."""
    if name == "postings_nb":
        _, postings, calibration = catalogue().files
        everything = [*postings.texts, *calibration.texts]
    else:
        with Path(public_file(name)).open(encoding="utf-8", newline="") as file:
            everything = [row["text"] for row in csv.DictReader(file)]
    distinct = list(dict.fromkeys(everything))
    chosen = np.random.default_rng(0).permutation(len(distinct))[:NUM_TEXTS]
    return [distinct[number] for number in chosen]


def cosine() -> float:
    """On the catalogue's labeled postings, in each back end's own padded batches."""
    drawn = texts("postings_nb")
    return smallest_cosine(encoder("onnx").encode(drawn), encoder("torch").encode(drawn))


def lost() -> float:
    """Percentage points of right first choices on calibration_nb that an int8 worker loses.

    Fitted on the exemplars alone. An int8 worker rounds the vectors of postings, not those of
    exemplars.
    """
    train, _, calibration = encoded(catalogue())
    held_out = replace(catalogue(), test=calibration.rows, calibration=None)
    # Not cached: another way of quantizing would have the same name.
    exemplars, postings = encode_inputs(encoder("onnx-int8"), held_out, progress=progress)
    before, after = accuracy(train, calibration), accuracy(exemplars, postings)
    say(f"first choice {before:.4f} with torch, {after:.4f} with int8")
    return 100 * (before - after)


def accuracy(train: EncodedRows, test: EncodedRows) -> float:
    evaluation = evaluate(
        train, test, parents=catalogue().parents, with_baselines=False, progress=progress
    )
    return float(evaluation.figures["accuracy"])


@cache
def encoder(backend: str) -> TextEncoder:
    """The bundled encoder on a back end, exported below ``bench/.vectors`` if necessary."""
    directory = bundled_directory(conf.cache_dir, say)
    if backend != "torch":
        require_export(directory)
    return load_encoder(str(directory), cache_dir=VECTORS, backend=backend)


@cache
def require_export(directory: Path) -> None:
    kinds: tuple[ExportKind, ...] = ("float32", "int8")
    try:
        for kind in kinds:
            read_export(directory, VECTORS, kind)
    except EncoderError:
        from marketplace_ai.encoding.onnx.export import export

        train, *_ = catalogue().files
        labeled = [(t, c) for t, c in zip(train.texts, train.labels, strict=True) if c]
        try:
            export(directory, VECTORS, labeled=labeled, progress=say)
        except EncoderError as error:
            raise NotMeasured(str(error)) from error
