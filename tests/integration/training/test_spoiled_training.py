"""What the gate says of a training that is spoiled: wrong labels, and a rate that collapses it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command

from marketplace_ai.classifier import Classifier, LabeledTexts
from marketplace_ai.comparison.encoder_comparison import compare_encoders
from marketplace_ai.comparison.report import FailedCheck
from marketplace_ai.encoding import load_encoder
from marketplace_ai.guarantee.target import Target
from marketplace_ai.promotion.checks import failed_checks

pytestmark = pytest.mark.slow

TRADES = ["male", "tak", "flis", "kran"]
FILLERS = ["stue", "legge", "nytt", "bad", "spor", ":"]


def postings(each: int, seed: int) -> tuple[list[str], list[str]]:
    """Texts with a word of their trade among others, and their labels."""
    draw = np.random.default_rng(seed)
    labels = [trade for trade in TRADES for _ in range(each)]
    texts = [" ".join(draw.permutation([trade, *draw.choice(FILLERS, 3)])) for trade in labels]
    return texts, labels


def fine_tuned(files: Path, output: Path, labels: Sequence[str], *options: str) -> Path:
    """The small model, trained on pairs of the exemplars with these labels."""
    texts, _ = postings(30, 1)
    draw = np.random.default_rng(3)
    lines = []
    for _ in range(40):
        for trade in TRADES:
            of_trade = [text for text, label in zip(texts, labels, strict=True) if label == trade]
            anchor, positive = draw.choice(of_trade, 2, replace=False).tolist()
            if anchor != positive:
                lines.append({"anchor": anchor, "positive": positive, "category": trade})
    pairs = output.with_suffix(".jsonl")
    pairs.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    call_command(
        "train_encoder", "--pairs", str(pairs), "--base", str(files / "model"), "--output",
        str(output), "--batch-size", "4", "--json", *options, stdout=StringIO(), stderr=StringIO(),
    )  # fmt: skip
    return output


def fitted(directory: Path, cache: Path) -> tuple[Classifier, LabeledTexts]:
    """The classifier of an encoder, which has no words to go by, and the rows it is judged on."""
    encoder = load_encoder(str(directory), cache_dir=cache)

    def encoded(each: int, seed: int) -> LabeledTexts:
        texts, labels = postings(each, seed)
        names = [f"Hjelp {seed}{number:04d}" for number in range(len(texts))]
        return LabeledTexts(names, encoder.encode(texts), labels)

    rows = encoded(60, 2)
    return Classifier.fit(encoded(30, 1), rows, target=Target(0.9)), rows


@pytest.fixture(scope="module")
def active(files: Path) -> Classifier:
    return fitted(files / "model", files)[0]


def checks(directory: Path, active: Classifier, cache: Path) -> list[FailedCheck]:
    candidate, rows = fitted(directory, cache)
    results = compare_encoders(candidate, active, rows)
    return [*failed_checks(candidate.guarantee, active.guarantee, results)]


@pytest.mark.parametrize(
    ("shuffled", "options"),
    [
        (True, ("--learning-rate", "3e-2", "--interpolate", "1")),
        (False, ("--learning-rate", "1")),
    ],
    ids=["labels shuffled", "collapsed"],
)
def test_it_is_refused(
    shuffled: bool, options: Any, active: Classifier, files: Path, tmp_path: Path
) -> None:
    _, labels = postings(30, 1)
    if shuffled:
        labels = np.random.default_rng(0).permutation(labels).tolist()
    spoiled = fine_tuned(files, tmp_path / "spoiled", labels, *options)
    found = checks(spoiled, active, tmp_path)
    assert FailedCheck.ACCURACY_DROP in found


def test_the_same_training_with_its_labels_passes(
    active: Classifier, files: Path, tmp_path: Path
) -> None:
    tuned = fine_tuned(files, tmp_path / "tuned", postings(30, 1)[1], "--learning-rate", "1e-3")
    assert checks(tuned, active, tmp_path) == []
