"""Other designs of the audit, lived on the setting whose guarantee breaks most, and the limit that
no design passes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache, partial

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

from marketplace_ai.guarantee.sequential_test import log_threshold

from .catalogue import TARGET
from .life import AUDITED, POSTINGS, SETTINGS, SOON, Life, Shares, Test, sequential_test, simulate
from .rows import Benchmark, say

SETTING = SETTINGS[-1]
#: True error rates, and numbers of audited automatic postings.
ERRORS, ANSWERS = (0.045, 0.06, 0.10, 0.15), (30, 300, 1000)


def benchmarks() -> Iterator[Benchmark]:
    for name in _designs():
        for title, field in (
            (f"not noticed within {SOON:,} postings", "unnoticed_soon"),
            ("postings audited", "answers"),
        ):
            yield Benchmark(
                f"life, audit by {name}: {title}: {SETTING.name}",
                "share" if field == "unnoticed_soon" else "of 10,000",
                None, "lower", partial(figure, name, field), public=True,
            )  # fmt: skip
    yield Benchmark(
        f"life, no posting out of scope: not noticed within {SOON:,} postings: {SETTING.name}",
        "share", 0.05, "lower", in_scope, public=True,
    )  # fmt: skip
    for error in ERRORS:
        for answers in ANSWERS:
            yield Benchmark(
                f"life: {error:.1%} errors noticed by the best test of {answers:,} answers",
                "share", None, "higher", partial(best_power, error, answers),
            )  # fmt: skip


def _designs() -> dict[str, tuple[Shares, Test]]:
    place = np.arange(POSTINGS)
    return {
        "betting, 2%": (np.full(POSTINGS, AUDITED), betting),
        "the sequential test, 5%": (np.full(POSTINGS, 0.05), sequential_test),
        "the sequential test, 10% of the first 2,000": (_at_first(0.10), sequential_test),
        "the sequential test, 20% of the first 2,000": (_at_first(0.20), sequential_test),
        "betting, 20% of the first 2,000": (_at_first(0.20), betting),
        "the sequential test, a share that decays": (
            np.maximum(AUDITED, 100 / (place + 100)), sequential_test,
        ),
    }  # fmt: skip


def _at_first(share: float) -> Shares:
    return np.where(np.arange(POSTINGS) < SOON, share, AUDITED)


def figure(name: str, field: str) -> float:
    return float(getattr(lived(name), field))


@cache
def lived(name: str) -> Life:
    life = simulate(SETTING.stream(), *_designs()[name])
    say(str(life))
    return life


def in_scope() -> float:
    life = simulate(SETTING.stream(), np.full(POSTINGS, AUDITED), sequential_test, outside=0.0)
    say(str(life))
    return life.unnoticed_soon


def betting(wrong: npt.NDArray[np.bool_]) -> int | None:
    """A betting martingale (Waudby-Smith and Ramdas 2024): before each answer a stake is chosen
    from those before it, about the one by which wealth grows fastest at the error rate seen so
    far. It starts from three times the allowed rate, as the product's test does."""
    allowed, limit = TARGET.max_error_rate, log_threshold(TARGET.confidence_level)
    wealth, seen, errors = 0.0, 1 / (3 * allowed), 1.0
    for number, error in enumerate(wrong.tolist(), start=1):
        rate = errors / seen
        gain = rate - allowed
        stake = min(max(0.0, gain / (rate * (1 - rate) + gain**2)), 0.9 / allowed)
        wealth += math.log1p(stake * (error - allowed))
        if wealth >= limit:
            return number
        seen += 1
        errors += error
    return None


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
