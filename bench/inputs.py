"""Labelled texts and their vectors, encoded once and kept in ``bench/.vectors``."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from marketplace_ai.classifier import Classifier, LabeledTexts
from marketplace_ai.classifier.cross_fitting import OutOfFold
from marketplace_ai.conf import conf
from marketplace_ai.encoding import TextEncoder, load_encoder
from marketplace_ai.evaluation.inputs import Inputs, Source, read_inputs
from marketplace_ai.evaluation.vectors import EncodedRows, encode
from marketplace_ai.management.console import progress
from marketplace_ai.text.labeled_csv import Filter, LabeledRows

from .rows import NotMeasured, say

ROOT = Path(__file__).resolve().parent
CATALOGUE = ROOT.parent / "demo" / "data"
VECTORS = ROOT / ".vectors"


def public_file(name: str) -> str:
    """The path of one public set; NotMeasured without BENCH_DATA, or where it lacks the file."""
    folder = os.environ.get("BENCH_DATA")
    if not folder:
        raise NotMeasured(
            "BENCH_DATA is not set: name the folder with massive_sv-SE.csv, massive_da-DK.csv "
            "and banking77.csv"
        )
    path = Path(folder).expanduser() / f"{name}.csv"
    if not path.is_file():
        raise NotMeasured(f"{path} does not exist: BENCH_DATA names the folder that holds it")
    return str(path)


def public_split(
    name: str, train: str, test: str, shots: int | None = None, seed: int = 0
) -> Inputs:
    """Two of a public set's published splits; ``shots`` rows of each category of the first."""
    path = public_file(name)
    return read_inputs(
        Source(path, Filter("split", train)),
        Source(path, Filter("split", test)),
        shots=shots,
        seed=seed,
    )


@cache
def catalogue() -> Inputs:
    """exemplars_nb votes, calibration_nb calibrates, postings_nb is only reported on."""
    exemplars, postings, calibration = (
        Source(str(CATALOGUE / f"{name}.csv"))
        for name in ("exemplars_nb", "postings_nb", "calibration_nb")
    )
    return read_inputs(
        exemplars, postings, calibration, catalog=str(CATALOGUE / "home_services.csv")
    )


def encoded_rows(rows: LabeledRows) -> EncodedRows:
    """The same for labeled texts that are in no file."""
    return encode(encoder(), [rows], kept_in=VECTORS, progress=progress)[0]


def encoded(inputs: Inputs) -> list[EncodedRows]:
    """``inputs.files`` with the bundled encoder's vectors."""
    return encode(encoder(), inputs.files, kept_in=VECTORS, progress=progress)


@cache
def encoder() -> TextEncoder:
    return load_encoder("bundled", cache_dir=conf.cache_dir, progress=say)


def labeled(rows: EncodedRows) -> LabeledTexts:
    return rows.labeled


def out_of_fold(classifier: Classifier) -> OutOfFold:
    """How the labeled rows were scored by fits that never saw them."""
    if classifier.out_of_fold is None:
        raise ValueError("a stored classifier no longer knows how its rows were scored")
    return classifier.out_of_fold
