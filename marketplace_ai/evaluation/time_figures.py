"""How good fits of the past are at rows that came 1, 3 and 6 months later.

An early fit has learned fewer rows than a late one, and it alone has rows that came long after it.
So a period is compared with the first month after the *same* fits: what is lost between the two is
lost by time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marketplace_ai.guarantee.target import Target

from .past_fits import LaterRows, PastFit, PastFits
from .proportions import Change, Proportion, compare, measure
from .time_periods import PERIODS, Period

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class PeriodFigures:
    """What ``fits`` made of ``rows`` of one period after them, ``decisions`` in all.

    ``first_choice`` is over rows with a category, ``automatic`` over all, ``precision`` over the
    automatic. ``new_category`` are rows of a category that the fit did not know: they count as
    wrong; so many of the ``categories`` of a fit's rows, added up over the fits, are
    ``new_categories``. The changes are None for the first month, and where no fit has both.
    """

    period: Period
    fits: int
    rows: int
    decisions: int
    first_choice: Proportion
    first_choice_change: Change | None
    automatic: Proportion
    automatic_change: Change | None
    precision: Proportion
    new_category: Proportion
    categories: int
    new_categories: int


@dataclass(frozen=True, eq=False)
class TimeFigures:
    """The periods that have rows, over all fits (``periods``) and of each (``by_fit``)."""

    target: Target
    fits: Sequence[PastFit]
    periods: Sequence[PeriodFigures]
    by_fit: Sequence[Sequence[PeriodFigures]]
    undated: int
    kin: int

    @property
    def largest_fall(self) -> Change | None:
        """Of the first choice, among the changes that are a fall for sure; None if none is."""
        changes = [each.first_choice_change for each in self.periods]
        falls = [change for change in changes if change is not None and change.interval[1] < 0]
        return min(falls, key=lambda each: each.change, default=None)

    @property
    def first_refuted(self) -> Period | None:
        """The earliest period whose precision refutes the target; None if none does."""
        refuted = (
            each.period
            for each in self.periods
            if each.precision.supports(self.target) == "refuted"
        )
        return next(refuted, None)


def time_figures(found: PastFits) -> TimeFigures:
    """Count what fits of the past made of later rows, by the time since."""
    later = found.later
    every = np.ones(len(later.fit), dtype=np.bool_)
    return TimeFigures(
        found.target,
        found.fits,
        _periods(later, every),
        [_periods(later, later.fit == number) for number in range(len(found.fits))],
        found.undated,
        found.kin,
    )


def _periods(later: LaterRows, part: Bools) -> list[PeriodFigures]:
    present = np.unique(later.period[part]).tolist()
    # Bonferroni: whoever looks at all periods is misled by one of them in 5% of the cases.
    level = 1 - 0.05 / max(len(present) - 1, 1)
    return [_figures(later, part, number, level) for number in present]


def _figures(later: LaterRows, part: Bools, number: int, level: float) -> PeriodFigures:
    rows = part & (later.period == number)
    has_category = later.label >= 0
    asked, automatic = rows & has_category, rows & later.automatic
    pairs = {*zip(later.fit[asked].tolist(), later.label[asked].tolist(), strict=True)}
    new = asked & later.new_category
    new_pairs = {*zip(later.fit[new].tolist(), later.label[new].tolist(), strict=True)}
    return PeriodFigures(
        PERIODS[number],
        len(np.unique(later.fit[rows])),
        len(np.unique(later.row[rows])),
        int(rows.sum()),
        measure(later.right[asked], later.family[asked]),
        _change(later, later.right, part & has_category, number, level),
        measure(later.automatic[rows], later.family[rows]),
        _change(later, later.automatic, part, number, level),
        measure(later.automatic_right[automatic], later.family[automatic]),
        measure(later.new_category[asked], later.family[asked]),
        len(pairs),
        len(new_pairs),
    )


def _change(
    later: LaterRows, marked: Bools, among: Bools, number: int, level: float
) -> Change | None:
    """How a period differs from the first one; None for that, and where no fit has rows of both.

    The first month of each fit weighs as much as its rows of the period. A row may be in both, for
    different fits; that would make the interval narrower.
    """
    then, first = among & (later.period == number), among & (later.period == 0)
    weights = np.zeros(len(among))
    for fit in np.unique(later.fit[then]):
        of_fit = later.fit == fit
        if (first & of_fit).any():
            weights[first & of_fit] = (then & of_fit).sum() / (first & of_fit).sum()
        else:
            then &= ~of_fit
    first = weights > 0
    if number == 0 or not then.any():
        return None
    return compare(
        marked[then], later.family[then], marked[first], later.family[first], weights[first], level
    )
