"""How far a difference between two classifiers on the same rows may be chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .scoring import Bools
from .version_comparison import sign_test

#: Share of such intervals that hold the true difference.
COVERAGE = 0.95
#: Resamples; the ends then move by less than a tenth of the interval from seed to seed.
RESAMPLES = 2000
_BLOCK = 200


@dataclass(frozen=True, slots=True)
class Paired:
    """Something that holds for a row or does not, by two classifiers on the same rows.

    ``new`` and ``old`` count the rows where it holds, ``gained`` and ``lost`` the groups of
    near-duplicates where it holds more often by the new or the old one, ``p`` is the chance of
    so many lost if both were alike. ``difference`` (new less old, as a share of the rows) has
    the 95% interval from ``low`` to ``high``.
    """

    new: int
    old: int
    gained: int
    lost: int
    p: float
    difference: float
    low: float
    high: float


def paired(new: Bools, old: Bools, groups: npt.NDArray[np.intp], seed: int = 0) -> Paired:
    """Both on b rows, bool (b,) each; ``groups`` (b,) number near-duplicates."""
    gained, lost, p = sign_test(new, old, groups)
    difference = float(new.mean() - old.mean()) if len(new) else 0.0
    low, high = interval(new, old, groups, seed)
    return Paired(int(new.sum()), int(old.sum()), gained, lost, p, difference, low, high)


def interval(
    new: Bools, old: Bools, groups: npt.NDArray[np.intp], seed: int = 0
) -> tuple[float, float]:
    """Of the difference of two shares: percentiles of the bootstrap (Efron and Tibshirani 1993,
    chapter 13), which draws whole groups (Davison and Hinkley 1997, section 3.8), for
    near-duplicates do not come out apart. The same seed gives the same interval.

    Where no row differs it has no width, which says only that none did.
    """
    if not len(new):
        return 0.0, 0.0
    _, members = np.unique(groups, return_inverse=True)
    sizes = np.bincount(members).astype(float)
    lead = np.bincount(members, weights=new.astype(float) - old.astype(float))
    random = np.random.default_rng(seed)
    even = np.full(len(sizes), 1 / len(sizes))
    found = []
    for _ in range(0, RESAMPLES, _BLOCK):
        drawn = random.multinomial(len(sizes), even, size=_BLOCK)
        found.append((drawn @ lead) / (drawn @ sizes))
    tail = (1 - COVERAGE) / 2
    low, high = np.quantile(np.concatenate(found), [tail, 1 - tail])
    return float(low), float(high)
