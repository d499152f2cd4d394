"""How often the guarantee fails, by simulation on out-of-fold scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import numpy.typing as npt

from marketplace_ai.classifier import Classifier
from marketplace_ai.guarantee.threshold_search import CalibrationSample, find_threshold
from marketplace_ai.management.console import progress

from . import catalogue, speed
from .catalogue import TARGET
from .inputs import out_of_fold
from .rows import Benchmark

Random = np.random.Generator
#: A draw from a population: row numbers, and the near-duplicate group of each drawn row.
Drawn = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]

DRAWS = 1000
#: Rows of one draw from a public set: as many labeled postings as a project may have.
ROWS = 1000


def benchmarks() -> Iterator[Benchmark]:
    for what, simulate, public in (
        ("calibration_nb", of_catalogue, False),
        ("massive_sv-SE", of_massive, True),
    ):
        yield Benchmark(
            f"promise broken in {DRAWS:,} resamplings: {what}",
            "share", 0.05, "lower", partial(broken, simulate), public,
        )  # fmt: skip
        yield Benchmark(
            f"anything promised in {DRAWS:,} resamplings: {what}",
            "share", None, "higher", partial(guaranteed, simulate), public,
        )  # fmt: skip


def broken(simulate: Callable[[], Simulated]) -> float:
    return simulate().broken


def guaranteed(simulate: Callable[[], Simulated]) -> float:
    """How often a threshold was found, so that there was a guarantee."""
    return simulate().found


@dataclass(frozen=True)
class Simulated:
    """Shares of all draws: the guarantee failed; any threshold was found."""

    broken: float
    found: float


@dataclass(frozen=True, eq=False)
class Population:
    """Labelled rows scored by fits that never saw them; ``leaf`` bool (r,): the first choice
    is a category, so that the rule for leaves may decide the row."""

    trial: CalibrationSample
    leaf: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, classifier: Classifier) -> Population:
        scored = out_of_fold(classifier)
        trial = CalibrationSample(
            scored.probability, scored.first_choice != scored.y_true, scored.groups
        )
        return cls(trial, scored.first_choice != classifier.classes.index(None))

    def error_rate(self, threshold: float) -> float:
        """Share of wrong rows among all that this threshold decides."""
        decided = self.leaf & (self.trial.score >= threshold)
        return float(self.trial.wrong[decided].mean())


@cache
def of_catalogue() -> Simulated:
    """Bootstrap samples of calibration_nb, of as many groups as it has."""
    return simulated(Population.of(catalogue.fitted()), bootstrap)


@cache
def of_massive() -> Simulated:
    """Parts of 1,000 rows of 12,000 cross-fitted ones."""
    return simulated(Population.of(speed.massive(12_000)[0]), part)


def simulated(
    population: Population, draw: Callable[[CalibrationSample, Random], Drawn], draws: int = DRAWS
) -> Simulated:
    """Search a threshold on each draw, and ask the whole population what it is worth.

    What this shows: were the population all there is, and the labeled postings a random
    sample of its groups, then the search on the sample would break its guarantee this often.
    The population is finite, so a threshold's true error rate is known: that of its rows.
    Scores stay as they are, for no draw fits anything; so it is the search and its bound that
    are shown, not that tomorrow's postings look like today's. The guarantee is on leaves, by
    the threshold alone: categories that their own rows refute are not taken out first.
    """
    random = np.random.default_rng(0)
    found = failed = 0
    with progress("Resampling", draws) as advance:
        for _ in range(draws):
            rows, groups = draw(population.trial, random)
            trial = CalibrationSample(
                population.trial.score[rows], population.trial.wrong[rows], groups
            )
            leaf = trial.take(population.leaf[rows])
            rule = find_threshold(leaf, len(rows), TARGET)
            if rule.threshold is not None:
                found += 1
                failed += population.error_rate(rule.threshold) > TARGET.max_error_rate
            advance(1)
    return Simulated(failed / draws, found / draws)


def bootstrap(trial: CalibrationSample, random: Random) -> Drawn:
    """As many groups as there are, with replacement; one drawn twice counts as two groups,
    as two postings of the same kind would."""
    order = np.argsort(trial.groups, kind="stable")
    _, starts, sizes = np.unique(trial.groups[order], return_index=True, return_counts=True)
    drawn = random.integers(len(starts), size=len(starts))
    rows = np.concatenate([order[starts[i] : starts[i] + sizes[i]] for i in drawn])
    return rows, np.repeat(np.arange(len(drawn)), sizes[drawn])


def part(trial: CalibrationSample, random: Random) -> Drawn:
    """``ROWS`` rows without replacement."""
    rows = random.choice(len(trial.groups), size=min(ROWS, len(trial.groups)), replace=False)
    return rows, trial.groups[rows]
