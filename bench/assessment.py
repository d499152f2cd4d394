"""``assess`` on public sets: does it predict what comes later, and does it find wrong labels?"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial

import numpy as np
import numpy.typing as npt

from marketplace_ai.assessment.assess import assess
from marketplace_ai.assessment.coverage import PRECISIONS, cover
from marketplace_ai.assessment.predictions import predict_rows
from marketplace_ai.assessment.split import Split
from marketplace_ai.classifier import LabeledTexts
from marketplace_ai.classifier.labeled import families_of
from marketplace_ai.evaluation.vectors import EncodedRows
from marketplace_ai.guarantee.target import Target
from marketplace_ai.management.console import progress
from marketplace_ai.text.labeled_csv import LabeledRows

from .inputs import encoded, public_split
from .rows import Benchmark, say

SETS = ("massive_sv-SE", "hwu64")
ROWS = 5000
#: The share of the labels that is replaced by another one, drawn at random.
FLIPPED = 0.05


def benchmarks() -> Iterator[Benchmark]:
    for name in SETS:
        for what in ("coverage", "precision"):
            yield Benchmark(
                f"assess: largest difference of the predicted {what} from that of the test rows, "
                f"four targets: {name}",
                "points", 3.0, "lower", partial(difference, name, what), public=True,
            )  # fmt: skip
    yield Benchmark(
        "assess: replaced labels among those that look wrong: hwu64",
        "%", 75.0, "higher", partial(replaced, "among"), public=True,
    )  # fmt: skip
    yield Benchmark(
        "assess: replaced labels that are found: hwu64",
        "%", 70.0, "higher", partial(replaced, "found"), public=True,
    )  # fmt: skip


def difference(name: str, what: str) -> float:
    """Points between what 5,000 training rows predict and what the test rows show."""
    return max(abs(a - b) for a, b in later(name)[what])


@cache
def later(name: str) -> dict[str, list[tuple[float, float]]]:
    """Predicted and seen, by target, where both know a threshold or neither does."""
    train, test = _rows(name)
    predicted = assess(train.rows, lambda rows: _vectors(train, rows), progress=progress)
    both = LabeledTexts(
        [*train.rows.texts, *test.rows.texts],
        np.concatenate([train.vectors, test.vectors]),
        [*train.rows.labels, *test.rows.labels],
    )
    split = Split(np.arange(len(train)), np.arange(len(train), len(both)), None)
    found = predict_rows(both, split)
    right = found.first_choice == found.y_true
    families = families_of(both)
    pairs: dict[str, list[tuple[float, float]]] = {"coverage": [], "precision": []}
    for each, precision in zip(predicted.coverages, PRECISIONS, strict=True):
        seen, _ = cover(found, split, found.classifier, right, families, Target(precision))
        say(
            f"  {name}, {precision:.0%}: predicted {each.coverage:.1%} automatic, {each.wrong} of "
            f"{each.automatic} wrong; test {seen.held_out_coverage:.1%}, {seen.wrong} of "
            f"{seen.automatic}"
        )
        pairs["coverage"].append((100 * each.coverage, 100 * seen.held_out_coverage))
        if each.precision is not None and seen.precision is not None:
            pairs["precision"].append((100 * each.precision, 100 * seen.precision))
    return pairs


@cache
def _replaced() -> dict[str, float]:
    train, _ = _rows("hwu64")
    random = np.random.default_rng(1)
    names = sorted({str(label) for label in train.rows.labels})
    chosen = random.choice(len(train), int(FLIPPED * len(train)), replace=False).tolist()
    labels = list(train.rows.true_labels)
    for row in chosen:
        labels[row] = (str(random.choice([each for each in names if each not in labels[row]])),)
    rows = LabeledRows("hwu64", train.rows.lines, train.rows.texts, labels, None, {})
    found = assess(rows, lambda of: _vectors(train, of), progress=progress)
    places = {train.rows.lines[row] for row in chosen}
    hits = sum(each.place in places for each in found.suspects)
    first = sum(each.place in places for each in found.suspects[:100])
    say(f"  {len(found.suspects)} look wrong, {hits} of them replaced; {first} of the first 100")
    return {"among": 100 * hits / len(found.suspects), "found": 100 * hits / len(chosen)}


def replaced(what: str) -> float:
    """The share in percent."""
    return _replaced()[what]


def _rows(name: str) -> tuple[EncodedRows, EncodedRows]:
    """5,000 training rows, drawn at random, and the test rows."""
    train, test = encoded(public_split(name, "train", "test"))
    drawn = np.random.default_rng(0).choice(len(train), ROWS, replace=False)
    return train.take(sorted(drawn.tolist())), test


def _vectors(of: EncodedRows, rows: LabeledRows) -> npt.NDArray[np.float32]:
    place = {line: number for number, line in enumerate(of.rows.lines)}
    return of.vectors[[place[line] for line in rows.lines]]
