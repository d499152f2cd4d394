"""What must never be tagged: greetings, nonsense, and spam in whatever language."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial

from marketplace_ai.evaluation.evaluate import evaluate
from marketplace_ai.evaluation.figures import ScoredRow
from marketplace_ai.evaluation.inputs import Source, read_inputs
from marketplace_ai.evaluation.vectors import EncodedRows
from marketplace_ai.management.console import progress

from .catalogue import TARGET
from .inputs import CATALOGUE, ROOT, encoded
from .rows import Benchmark

TAGGED = ("automatic", "automatic_parent")
#: The kinds of ``strangers.csv``; a notice is one that no home service belongs to, and that
#: names a flat, a car or a cat all the same.
FOREIGN, NOTICE = ("greeting", "nonsense", "spam"), ("notice",)


def benchmarks() -> Iterator[Benchmark]:
    for exemplars, known in (("with exemplars of none", True), ("without any", False)):
        yield Benchmark(
            f"catalogue: greetings, nonsense and spam tagged, {exemplars}",
            "of 52", 0, "lower", partial(tagged, known, FOREIGN),
        )  # fmt: skip
        yield Benchmark(
            f"catalogue: off-topic notices tagged, {exemplars}",
            "of 8", None, "lower", partial(tagged, known, NOTICE),
        )  # fmt: skip
    yield Benchmark(
        "catalogue: strangers near a category tagged",
        "of 184", None, "lower", partial(near_tagged, True),
    )  # fmt: skip
    yield Benchmark(
        "catalogue: strangers near a category tagged, without any exemplars of none",
        "of 184", None, "lower", partial(near_tagged, False),
    )  # fmt: skip
    for exemplars, known in (("with exemplars of none", True), ("without any", False)):
        yield Benchmark(
            f"catalogue: strangers near a category proposed as none, {exemplars}",
            "of 184", None, "higher", partial(near_proposed, known),
        )  # fmt: skip


def tagged(known: bool, kinds: tuple[str, ...]) -> float:
    """How many rows of ``kinds`` were given a category or a parent without a person."""
    return sum(row.prediction.outcome in TAGGED for row in judged(known) if row.kind in kinds)


def near_tagged(known: bool) -> float:
    """The same of postings near a category, and of titles of one ambiguous word."""
    return sum(row.prediction.outcome in TAGGED for row in judged(known, "strangers_nb"))


def near_proposed(known: bool) -> float:
    """Of those, how many have "none" as their first choice."""
    return sum(row.prediction.label is None for row in judged(known, "strangers_nb"))


@cache
def judged(known: bool, file: str = "strangers") -> list[ScoredRow]:
    """The strangers of a file, decided by the catalogue's classifier. Not ``known``: one that was
    fitted and calibrated without a single text that fits nothing."""
    inputs = read_inputs(
        Source(str(CATALOGUE / "exemplars_nb.csv")),
        Source(str(ROOT / f"{file}.csv")),
        Source(str(CATALOGUE / "calibration_nb.csv")),
        catalog=str(CATALOGUE / "home_services.csv"),
    )
    train, test, calibration = encoded(inputs)
    if not known:
        train, calibration = _with_category(train), _with_category(calibration)
    found = evaluate(
        train,
        test,
        calibration,
        parents=inputs.parents,
        target=TARGET,
        with_baselines=False,
        progress=progress,
    )
    return found.rows


def _with_category(rows: EncodedRows) -> EncodedRows:
    return rows.take([i for i, label in enumerate(rows.rows.labels) if label is not None])
