"""Paired tests: whether two classifiers differ on the same rows by more than chance."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

from .report import PairedDifference

Bools = npt.NDArray[np.bool_]
Groups = npt.NDArray[np.intp]

#: A loss with a p-value below this counts as real: of two equally good classifiers, at most one
#: comparison in 20 says otherwise.
SIGNIFICANCE = 0.05
#: Share of the intervals that contain the true difference.
COVERAGE = 0.95
#: Bootstrap resamples; from seed to seed the ends then move by less than a tenth of the interval.
RESAMPLES = 2000
_BLOCK = 200


class SignTest(NamedTuple):
    """Groups of rows gained and lost, and the p-value of the losses."""

    gained: int
    lost: int
    p_value: float


def sign_test(new: Bools, old: Bools, groups: Groups) -> SignTest:
    """Exact one-sided sign test; its unit is a group, a family.

    ``gained`` counts the groups where ``new`` holds more often, ``lost`` those where ``old`` does;
    the p-value is the probability of at least so many losses if both were equally good. With one
    row a group this is the exact form of McNemar's test (1947) for paired answers, which Dietterich
    (1998) recommends for two classifiers on one test set.
    """
    _, members = np.unique(groups, return_inverse=True)
    lead = np.bincount(members, weights=new.astype(float) - old.astype(float))
    gained, lost = int((lead > 0).sum()), int((lead < 0).sum())
    return SignTest(gained, lost, float(binom.sf(lost - 1, gained + lost, 0.5)))


def paired_difference(new: Bools, old: Bools, groups: Groups, seed: int = 0) -> PairedDifference:
    """Test and interval for a property of b rows: ``new`` and ``old`` bool (b,) say which rows have
    it by each classifier; ``groups`` (b,) number families."""
    gained, lost, p_value = sign_test(new, old, groups)
    difference = float(new.mean() - old.mean()) if len(new) else 0.0
    low, high = bootstrap_interval(new, old, groups, seed)
    return PairedDifference(
        int(new.sum()), int(old.sum()), gained, lost, p_value, difference, low, high
    )


def bootstrap_interval(
    new: Bools, old: Bools, groups: Groups, seed: int = 0
) -> tuple[float, float]:
    """95% interval of the difference of two shares: percentile bootstrap (Efron and Tibshirani
    1993, chapter 13) that draws whole groups (Davison and Hinkley 1997, section 3.8), because
    rows of one family are not independent. The same seed gives the same interval.

    If no row differs, the interval has zero width.
    """
    if not len(new):
        return 0.0, 0.0
    _, members = np.unique(groups, return_inverse=True)
    sizes = np.bincount(members).astype(float)
    lead = np.bincount(members, weights=new.astype(float) - old.astype(float))
    random = np.random.default_rng(seed)
    uniform = np.full(len(sizes), 1 / len(sizes))
    differences = []
    for _ in range(0, RESAMPLES, _BLOCK):
        drawn = random.multinomial(len(sizes), uniform, size=_BLOCK)
        differences.append((drawn @ lead) / (drawn @ sizes))
    tail = (1 - COVERAGE) / 2
    low, high = np.quantile(np.concatenate(differences), [tail, 1 - tail])
    return float(low), float(high)
