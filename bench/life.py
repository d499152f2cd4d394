"""A simulation of life: calibrate, let postings come in, audit some, and see what is noticed.

Each run calibrates, then draws 10,000 postings from rows that taught nothing: a tenth of them fits
no category, and how frequent each category is has shifted since the fit. The guarantee is broken in
a run if, over all postings that could be drawn in it, more of the automatic ones are wrong than the
target allows. It is noticed when the sequential test of the audit refutes it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

from marketplace_ai.guarantee.sequential_test import largest_e_value, log_threshold
from marketplace_ai.management.console import progress

from .catalogue import TARGET
from .judged import PUBLIC, JudgedRows, Random, catalogue_rows, public_rows
from .rows import Benchmark, NotMeasured, say

RUNS, POSTINGS, SOON = 1000, 10_000, 2_000
OUT_OF_SCOPE, AUDITED = 0.10, 0.02
#: A category becomes twice as frequent or half as frequent, typically (log-normal).
SHIFT = math.log(2)
#: A higher share right after a fit: this one for the first ``SOON`` postings.
BURN_IN = 0.20

#: The share of postings audited at each place of the stream, float (n,).
Shares = npt.NDArray[np.float64]
#: When the audited rows, wrong ones True, refute the guarantee: after how many; None: never.
Test = Callable[[npt.NDArray[np.bool_]], int | None]


@dataclass(frozen=True, slots=True)
class Life:
    """Shares of all runs that promised anything, and what the audit costs.

    ``automatic``: mean share of the postings; ``answers``: mean number of audited postings.
    """

    promised: float
    automatic: float
    broken: float
    unnoticed_soon: float
    noticed_soon: float
    noticed_ever: float
    false_alarm: float
    worst_error: float
    answers: float


def benchmarks() -> Iterator[Benchmark]:
    for name, rows, public in (("catalogue", catalogue_rows, False), (PUBLIC, public_rows, True)):
        for basis, by_postings in (("labeled postings", True), ("exemplars alone", False)):
            found = partial(lives, rows, by_postings)
            what = f"{name}, calibrated on {basis}"
            for title, field, goal in (
                (f"broken and not noticed within {SOON:,} postings", "unnoticed_soon", 0.05),
                (f"broken and noticed within {SOON:,} postings", "noticed_soon", None),
                (f"broken and noticed within {POSTINGS:,} postings", "noticed_ever", None),
                ("false alarm", "false_alarm", 0.05),
            ):
                yield Benchmark(
                    f"life: {title}: {what}",
                    "share", goal, "lower", partial(figure, found, field), public,
                )  # fmt: skip


def figure(found: Callable[[], Life], name: str) -> float:
    return float(getattr(found(), name))


@cache
def lives(rows: Callable[..., JudgedRows], by_postings: bool) -> Life:
    """What ``AUDITED`` of all postings shows, by the test that the product uses."""
    life = simulate(rows(by_postings=by_postings), np.full(POSTINGS, AUDITED), sequential_test)
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


def simulate(rows: JudgedRows, shares: Shares, test: Test, runs: int = RUNS) -> Life:
    """Live ``runs`` times. Raises NotMeasured where nothing is ever automatic."""
    found: list[tuple[bool, int, float, float, int]] = []
    with progress("Living", runs) as advance:
        for seed in range(runs):
            random = np.random.default_rng(seed)
            after = rows.calibrated(random)
            decided = after.score >= (math.inf if after.threshold is None else after.threshold)
            if decided.any():
                found.append(_live(after, decided, shares, test, random))
            advance(1)
    if not found:
        raise NotMeasured("nothing was automatic in any run")
    broken, noticed, error, automatic, answers = (
        np.array(part) for part in zip(*found, strict=True)
    )
    return Life(
        promised=len(found) / runs,
        automatic=float(automatic.mean()),
        broken=float(broken.mean()),
        unnoticed_soon=float((broken & (noticed > SOON)).mean()),
        noticed_soon=float((broken & (noticed <= SOON)).mean()),
        noticed_ever=float((broken & (noticed <= POSTINGS)).mean()),
        false_alarm=float((~broken & (noticed <= POSTINGS)).mean()),
        worst_error=float(error.max()),
        answers=float(answers.mean()),
    )


def _live(
    rows: JudgedRows, decided: npt.NDArray[np.bool_], shares: Shares, test: Test, random: Random
) -> tuple[bool, int, float, float, int]:
    """One run: broken, the posting at which it is noticed, the true error rate, the automatic
    share and the number of audited postings."""
    weights = _weights(rows, random)
    automatic = float(weights[decided].sum())
    error = float(weights[decided & rows.wrong].sum()) / automatic if automatic else 0.0
    drawn = random.choice(len(weights), size=len(shares), p=weights)
    audited = random.random(len(shares)) < shares
    places = np.flatnonzero(audited & decided[drawn])
    at = test(rows.wrong[drawn[places]])
    noticed = len(shares) + 1 if at is None else int(places[at - 1]) + 1
    return error > TARGET.max_error_rate, noticed, error, automatic, int(audited.sum())


def _weights(rows: JudgedRows, random: Random) -> npt.NDArray[np.float64]:
    """How probable each row is as the next posting, float (r,), summing to 1."""
    factor = np.exp(random.normal(0, SHIFT, size=int(rows.category.max()) + 2))
    inside = rows.category >= 0
    weights = np.where(inside, factor[rows.category], 1.0)
    weights[inside] *= (1 - OUT_OF_SCOPE) / weights[inside].sum()
    weights[~inside] *= OUT_OF_SCOPE / weights[~inside].sum()
    return weights


def best_power(error: float, rows: int) -> float:
    """How often the most powerful test of level 1 - confidence level that looks once, at ``rows``
    audited automatic postings, refutes a guarantee whose true error rate is ``error``.

    The binomial test is uniformly most powerful (Neyman and Pearson 1933); randomized at its limit,
    so that it reaches its level. No test that may look more often has more.
    """
    allowed, level = TARGET.max_error_rate, 1 - TARGET.confidence_level
    limit = int(binom.isf(level, rows, allowed))  # refuted by more errors than these
    spare = (level - binom.sf(limit, rows, allowed)) / binom.pmf(limit, rows, allowed)
    return float(binom.sf(limit, rows, error) + spare * binom.pmf(limit, rows, error))
