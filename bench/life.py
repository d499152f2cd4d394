"""A simulation of life: calibrate, let postings come in, audit some, and see what is noticed.

Each run calibrates, then draws 10,000 postings from rows that taught nothing: a tenth of them fits
no category, and how frequent each category is has shifted since the fit. The guarantee is broken in
a run if, over all postings that could be drawn in it, more of the automatic ones are wrong than the
target allows. It is noticed when the test of the audit over all categories refutes it; the tests of
single categories are left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import numpy.typing as npt

from marketplace_ai.guarantee.sequential_test import largest_e_value, log_threshold
from marketplace_ai.management.console import progress

from .catalogue import TARGET
from .rows import Benchmark, NotMeasured, say
from .stream_rows import PUBLIC, Random, StreamRows, catalogue_rows, public_rows

RUNS, POSTINGS, SOON = 1000, 10_000, 2_000
OUT_OF_SCOPE, AUDITED = 0.10, 0.02
#: A category becomes twice as frequent or half as frequent, typically (log-normal).
SHIFT = math.log(2)
#: The share of postings audited at each place of the stream, float (n,).
Shares = npt.NDArray[np.float64]
#: When the audited rows, wrong ones True, refute the guarantee: after how many; None: never.
Test = Callable[[npt.NDArray[np.bool_]], int | None]


@dataclass(frozen=True, slots=True)
class Life:
    """Shares of all runs, where a run in which nothing is automatic keeps every guarantee.

    ``guaranteed``: something was automatic. ``automatic``: mean share of the postings in those.
    ``worst_error``: the highest true error rate. ``answers``: mean number of audited postings.
    """

    guaranteed: float
    automatic: float
    broken: float
    unnoticed_soon: float
    noticed_soon: float
    noticed_ever: float
    false_alarm: float
    worst_error: float
    answers: float


@dataclass(frozen=True, slots=True)
class Setting:
    """What a life is lived on: a set of rows, and what calibrated the classifier."""

    name: str
    rows: Callable[..., StreamRows]
    by_postings: bool
    public: bool = False

    def stream(self) -> StreamRows:
        return self.rows(by_postings=self.by_postings)


#: On exemplars alone the catalogue's classifier proves nothing, so nothing can break.
SETTINGS = (
    Setting("catalogue, calibrated on labeled postings", catalogue_rows, by_postings=True),
    Setting(f"{PUBLIC}, calibrated on labeled postings", public_rows, True, public=True),
    Setting(f"{PUBLIC}, calibrated on exemplars alone", public_rows, False, public=True),
)
FIGURES = {
    f"broken and not noticed within {SOON:,} postings": ("unnoticed_soon", 0.05),
    f"broken and noticed within {SOON:,} postings": ("noticed_soon", None),
    f"broken and noticed within {POSTINGS:,} postings": ("noticed_ever", None),
    f"false alarm within {POSTINGS:,} postings": ("false_alarm", 0.05),
}


def benchmarks() -> Iterator[Benchmark]:
    for setting in SETTINGS:
        for title, (field, goal) in FIGURES.items():
            yield Benchmark(
                f"life: {title}: {setting.name}",
                "share", goal, "lower", partial(figure, setting, field), setting.public,
            )  # fmt: skip


def figure(setting: Setting, name: str) -> float:
    return float(getattr(lives(setting), name))


@cache
def lives(setting: Setting) -> Life:
    """What ``AUDITED`` of all postings shows, by the test that the product uses."""
    life = simulate(setting.stream(), np.full(POSTINGS, AUDITED), sequential_test)
    say(str(life))
    return life


def sequential_test(wrong: npt.NDArray[np.bool_]) -> int | None:
    """The product's: the first audited posting at which the e-value refutes the guarantee."""
    limit = log_threshold(TARGET.confidence_level)
    places = (np.flatnonzero(wrong) + 1).tolist()
    if largest_e_value(places, TARGET.max_error_rate).log_e < limit:
        return None
    return next(
        place
        for number, place in enumerate(places, start=1)
        if largest_e_value(places[:number], TARGET.max_error_rate).log_e >= limit
    )


def simulate(
    rows: StreamRows,
    shares: Shares,
    test: Test,
    *,
    outside: float = OUT_OF_SCOPE,
    runs: int = RUNS,
) -> Life:
    """Live ``runs`` times; ``outside`` is the share of postings that fit nothing."""
    found: list[tuple[bool, int, float, float, int]] = []
    with progress("Living", runs) as advance:
        for seed in range(runs):
            random = np.random.default_rng(seed)
            after = rows.calibrated(random)
            decided = after.score >= (math.inf if after.threshold is None else after.threshold)
            if decided.any():
                weights = _weights(after, outside, random)
                found.append(_live(after, decided, weights, shares, test, random))
            advance(1)
    if not found:
        raise NotMeasured("nothing was automatic in any run")
    broken, noticed, error, automatic, answers = map(np.array, zip(*found, strict=True))
    return Life(
        guaranteed=len(found) / runs,
        automatic=float(automatic.mean()),
        broken=float(broken.sum() / runs),
        unnoticed_soon=float((broken & (noticed > SOON)).sum() / runs),
        noticed_soon=float((broken & (noticed <= SOON)).sum() / runs),
        noticed_ever=float((broken & (noticed <= POSTINGS)).sum() / runs),
        false_alarm=float((~broken & (noticed <= POSTINGS)).sum() / runs),
        worst_error=float(error.max()),
        answers=float(answers.mean()),
    )


def _live(
    rows: StreamRows,
    decided: npt.NDArray[np.bool_],
    weights: npt.NDArray[np.float64],
    shares: Shares,
    test: Test,
    random: Random,
) -> tuple[bool, int, float, float, int]:
    """One run: broken, the posting at which it is noticed, the true error rate, the automatic
    share and the number of audited postings."""
    automatic = float(weights[decided].sum())
    error = float(weights[decided & rows.wrong].sum()) / automatic if automatic else 0.0
    drawn = random.choice(len(weights), size=len(shares), p=weights)
    audited = random.random(len(shares)) < shares
    places = np.flatnonzero(audited & decided[drawn])
    at = test(rows.wrong[drawn[places]])
    noticed = len(shares) + 1 if at is None else int(places[at - 1]) + 1
    return error > TARGET.max_error_rate, noticed, error, automatic, int(audited.sum())


def _weights(rows: StreamRows, outside: float, random: Random) -> npt.NDArray[np.float64]:
    """How probable each row is as the next posting, float (r,), summing to 1."""
    factor = np.exp(random.normal(0, SHIFT, size=int(rows.category.max()) + 2))
    inside = rows.category >= 0
    weights = np.where(inside, factor[rows.category], 1.0)
    weights[inside] *= (1 - outside) / weights[inside].sum()
    weights[~inside] *= outside / weights[~inside].sum()
    return weights
