"""Whether the stream of today differs from the one that a version began with: two tests.

Both compare two samples of postings as the same version decided them, so what the version gets
wrong cancels out. The scores are compared by the test of Kolmogorov and Smirnov, the first choices
by the chi-square test of homogeneity: with one confusion matrix in both samples, the first choices
are distributed alike exactly where the categories are (Lipton, Wang and Smola, Detecting and
correcting for label shift with black box predictors, 2018). How the shares of the categories moved
is then estimated by EM (``category_shares``).

The likelihood-ratio test of Saerens et al. is not used: its distribution holds for calibrated
probabilities of *all* classes, and a decision keeps the best few.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import stats

from .category_shares import estimate_shares, posteriors

if TYPE_CHECKING:
    from collections.abc import Sequence

#: The probability of a false alarm, by any test at any look, over the whole life of a version.
ALPHA = 0.01
#: Fewer rows in either sample show nothing but a landslide.
MIN_ROWS = 100
#: Categories that are expected less often in either sample are taken together.
MIN_EXPECTED = 5.0
#: Categories named, those that moved most.
MAX_MOVED = 3


class DecidedPosting(NamedTuple):
    """A posting as it was decided: its best choices, (key, probability), best first."""

    choices: tuple[tuple[str, float], ...]

    @property
    def first(self) -> str:
        return self.choices[0][0]

    @property
    def probability(self) -> float:
        return self.choices[0][1]


@dataclass(frozen=True, slots=True)
class Moved:
    """A category ("" for none) whose share among the postings has changed."""

    key: str
    before: float
    now: float


@dataclass(frozen=True, slots=True)
class DriftReport:
    """The result of both tests.

    ``before`` and ``now`` count the rows of the samples; ``level`` is the significance level of
    each test at this look. ``distance`` is the largest difference of the two distributions of
    scores, ``chi_square`` the statistic of the first choices; ``moved`` are the categories whose
    shares changed most.
    """

    look: int
    level: float
    before: int
    now: int
    distance: float = 0.0
    scores_p_value: float = 1.0
    chi_square: float = 0.0
    categories_p_value: float = 1.0
    moved: tuple[Moved, ...] = ()

    @property
    def is_tested(self) -> bool:
        return min(self.before, self.now) >= MIN_ROWS

    @property
    def scores_drifted(self) -> bool:
        return self.scores_p_value < self.level

    @property
    def categories_drifted(self) -> bool:
        return self.categories_p_value < self.level

    @property
    def drifted(self) -> bool:
        return self.scores_drifted or self.categories_drifted

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "is_tested": self.is_tested}


def level_at(look: int) -> float:
    """The level of each of both tests at the ``look``-th look, counted from 1.

    The levels of all looks together sum to ``ALPHA``, so that looking every day raises no more
    false alarms (Bonferroni, with 1 / (n (n + 1)) of it for the n-th look).
    """
    return ALPHA / 2 / (look * (look + 1))


def compare(
    before: Sequence[DecidedPosting], now: Sequence[DecidedPosting], look: int
) -> DriftReport:
    """Test whether both samples are of one stream. Too small samples are not tested."""
    report = DriftReport(look, level_at(look), len(before), len(now))
    if not report.is_tested:
        return report
    scores = stats.ks_2samp(
        [row.probability for row in before], [row.probability for row in now], method="asymp"
    )
    chi_square, p_value = _homogeneity([row.first for row in before], [row.first for row in now])
    return DriftReport(
        look, report.level, len(before), len(now),
        float(scores.statistic), float(scores.pvalue), chi_square, p_value, _moved(before, now),
    )  # fmt: skip


def _homogeneity(before: Sequence[str], now: Sequence[str]) -> tuple[float, float]:
    """Chi-square and p-value of the hypothesis that both have the same shares of keys."""
    counts = [Counter(before), Counter(now)]
    smaller = min(len(before), len(now)) / (len(before) + len(now))
    together = counts[0] + counts[1]
    common = [key for key in together if together[key] * smaller >= MIN_EXPECTED]
    table = np.array([[count[key] for key in common] for count in counts], dtype=np.float64)
    rest = np.array([[len(before)], [len(now)]]) - table.sum(axis=1, keepdims=True)
    # Below the minimum, the rare ones are of no use even together.
    if rest.sum() * smaller >= MIN_EXPECTED:
        table = np.hstack([table, rest])
    if table.shape[1] < 2:
        return 0.0, 1.0
    found = stats.chi2_contingency(table, correction=False)
    return float(found.statistic), float(found.pvalue)


def _moved(before: Sequence[DecidedPosting], now: Sequence[DecidedPosting]) -> tuple[Moved, ...]:
    keys = sorted({key for row in (*before, *now) for key, _ in row.choices})
    # Half a posting more of each category: one that never came before is possible all the same.
    counts = posteriors([row.choices for row in before], keys).sum(axis=0) + 0.5
    prior = counts / counts.sum()
    found = estimate_shares(posteriors([row.choices for row in now], keys), prior)
    largest = np.argsort(-np.abs(found - prior)[: len(keys)], kind="stable")[:MAX_MOVED]
    return tuple(Moved(keys[n], float(prior[n]), float(found[n])) for n in largest)
