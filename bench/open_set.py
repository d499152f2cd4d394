"""What fits no category, where no exemplar shows it: the rows of categories that were left out.

A sixth of the categories is left out, in five draws. A known row is *rejected* if its first choice
is "none". Of a row of a left out category two things are asked: whether its first choice is "none",
which is a proposal to a person, and whether it was tagged without one, as a leaf or a parent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np

from marketplace_ai.evaluation.evaluate import evaluate
from marketplace_ai.evaluation.figures import ScoredRow
from marketplace_ai.evaluation.metrics import expected_calibration_error
from marketplace_ai.evaluation.vectors import EncodedRows
from marketplace_ai.management.console import progress

from .catalogue import TARGET
from .inputs import catalogue, encoded, public_split
from .rows import Benchmark
from .strangers import TAGGED

#: One in so many categories is left out, in so many draws.
LEFT_OUT, DRAWS = 6, 5
#: Draws of the set of families, each of which is fitted on all of its rows.
DRAWS_OF_FAMILIES = 2
#: Exemplars of each category of the larger public sets.
SHOTS = 24
#: Share of rows that fit nothing in the stream on which probabilities of "none" are judged.
STRANGERS = 0.1
FAMILIES = "families_massive"
#: The catalogue is judged twice: as the public sets are, by exemplars alone and on calibration_nb;
#: and calibrated on that, on postings_nb. Exemplars of "none" are left out of both.
CATALOGUE, CALIBRATED = "calibration_nb", "postings_nb, calibrated"
SETS = {
    "hwu64": True, "banking77": True, "massive_sv-SE": True, CATALOGUE: False, CALIBRATED: False,
    f"{FAMILIES}, family given": True, f"{FAMILIES}, family hidden": True,
}  # fmt: skip


@dataclass(frozen=True)
class Draw:
    """The test rows of one draw: of known categories, and of those left out."""

    known: list[ScoredRow]
    left_out: list[ScoredRow]


def benchmarks() -> Iterator[Benchmark]:
    for name, public in SETS.items():
        yield Benchmark(
            f"open set: known rows proposed as none: {name}",
            "share", 0.03, "lower", partial(known_rejected, name), public,
        )  # fmt: skip
        for what, goal, measure in (
            ("rows of left out categories proposed as none", 0.8, proposed),
            ("rows of left out categories not tagged", 0.8, untagged),
            ("known rows automatic", None, automatic),
        ):
            yield Benchmark(
                f"open set: {what}: {name}", "share", goal, "higher", partial(measure, name), public
            )
        yield Benchmark(
            f"open set: calibration error (ECE) of none: {name}", "", None, "lower",
            partial(none_calibration_error, name), public,
        )  # fmt: skip
        yield Benchmark(
            f"open set: calibration error (ECE), a tenth fits nothing: {name}", "", None, "lower",
            partial(calibration_error, name), public,
        )  # fmt: skip


def known_rejected(name: str) -> float:
    return _share([row.prediction.label is None for draw in draws(name) for row in draw.known])


def proposed(name: str) -> float:
    return _share([row.prediction.label is None for draw in draws(name) for row in draw.left_out])


def untagged(name: str) -> float:
    rows = [row for draw in draws(name) for row in draw.left_out]
    return _share([row.prediction.outcome not in TAGGED for row in rows])


def automatic(name: str) -> float:
    rows = [row for draw in draws(name) for row in draw.known]
    return _share([row.prediction.outcome == "automatic" for row in rows])


def none_calibration_error(name: str) -> float:
    """Of the rows of ``streams`` whose first choice is "none": that is right or wrong."""
    return _calibration_error([row for row in streams(name) if row.prediction.label is None])


def calibration_error(name: str) -> float:
    return _calibration_error(streams(name))


def streams(name: str) -> list[ScoredRow]:
    """The known rows of all draws, and so many of the left out ones that they are a tenth."""
    found = []
    for number, draw in enumerate(draws(name)):
        count = round(len(draw.known) * STRANGERS / (1 - STRANGERS))
        random = np.random.default_rng(number)
        drawn = random.permutation(len(draw.left_out))[:count]
        found += [*draw.known, *(draw.left_out[i] for i in drawn)]
    return found


@cache
def draws(name: str) -> list[Draw]:
    count = DRAWS_OF_FAMILIES if name.startswith(FAMILIES) else DRAWS
    return [_draw(name, number) for number in range(count)]


def _draw(name: str, number: int) -> Draw:
    train, test, calibration = _rows(name)
    names = sorted({label for label in train.rows.labels if label is not None})
    random = np.random.default_rng(number)
    unknown = set(random.choice(names, len(names) // LEFT_OUT, replace=False).tolist())
    rows = evaluate(
        _without(train, unknown),
        _without(test, set()),
        None if calibration is None else _without(calibration, unknown),
        parents=catalogue().parents if not SETS[name] else None,
        target=TARGET,
        with_baselines=False,
        progress=progress,
    ).rows
    return Draw(
        [row for row in rows if row.true_labels[0] not in unknown],
        # They fit none of the categories that are left.
        [replace(row, true_labels=()) for row in rows if row.true_labels[0] in unknown],
    )


def _rows(name: str) -> tuple[EncodedRows, EncodedRows, EncodedRows | None]:
    if not SETS[name]:
        train, test, calibration = encoded(catalogue())
        return (train, calibration, None) if name == CATALOGUE else (train, test, calibration)
    file, _, families = name.partition(", family ")
    train, test = encoded(public_split(file, "train", "test", None if families else SHOTS))
    if families == "hidden":
        train = replace(train, rows=replace(train.rows, families=()))
    return train, test, None


def _without(rows: EncodedRows, unknown: set[str]) -> EncodedRows:
    """The rows that have a category, and none of the ``unknown`` ones."""
    return rows.take(
        [
            i
            for i, label in enumerate(rows.rows.labels)
            if label is not None and label not in unknown
        ]
    )


def _calibration_error(rows: list[ScoredRow]) -> float:
    probability = np.array([row.prediction.probability for row in rows])
    right = np.array([row.prediction.label in (row.true_labels or (None,)) for row in rows])
    return expected_calibration_error(probability, right)


def _share(found: list[bool]) -> float:
    return sum(found) / len(found)
