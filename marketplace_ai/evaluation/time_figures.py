"""How good fits of the past are at rows that came 1, 3 and 6 months later.

An early fit has learned fewer rows than a late one, and it alone has rows that came long after it.
So a period is compared with the first month after the *same* fits: what is lost between the two is
lost by time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot
from typing import Literal

import numpy as np
import numpy.typing as npt

from marketplace_ai.guarantee.target import Target

from .metrics import effective_rows, interval
from .past_fits import LaterRows, PastFit, PastFits
from .time_periods import PERIODS, Period

Bools = npt.NDArray[np.bool_]
#: Whether a precision supports what is promised: its interval lies at or above, around or below.
Support = Literal["kept", "open", "refuted"]


@dataclass(frozen=True, slots=True)
class Proportion:
    """``hits`` of ``n`` rows, with the interval (95%) of that share; kin count once."""

    hits: int
    n: int
    interval: tuple[float, float]

    @property
    def share(self) -> float | None:
        return self.hits / self.n if self.n else None

    def supports(self, target: Target) -> Support | None:
        """Whether it supports a target precision; None without a row."""
        if not self.n:
            return None
        low, high = self.interval
        if low >= target.precision:
            return "kept"
        return "open" if high >= target.precision else "refuted"


@dataclass(frozen=True, slots=True)
class Change:
    """How much a share differs from that of the first month after the same fits, with an interval;
    the intervals of all periods hold together (95%)."""

    change: float
    interval: tuple[float, float]


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
    asked = rows & has_category
    pairs = {*zip(later.fit[asked].tolist(), later.label[asked].tolist(), strict=True)}
    new = asked & later.new_category
    new_pairs = {*zip(later.fit[new].tolist(), later.label[new].tolist(), strict=True)}
    return PeriodFigures(
        PERIODS[number],
        len(np.unique(later.fit[rows])),
        len(np.unique(later.row[rows])),
        int(rows.sum()),
        _proportion(later, later.right, asked),
        _change(later, later.right, part & has_category, number, level),
        _proportion(later, later.automatic, rows),
        _change(later, later.automatic, part, number, level),
        _proportion(later, later.automatic_right, rows & later.automatic),
        _proportion(later, later.new_category, asked),
        len(pairs),
        len(new_pairs),
    )


def _proportion(later: LaterRows, marked: Bools, among: Bools) -> Proportion:
    hits, n = int((marked & among).sum()), int(among.sum())
    return Proportion(hits, n, _bounds(hits / max(n, 1), effective_rows(later.family[among]), 0.95))


def _change(
    later: LaterRows, marked: Bools, among: Bools, number: int, level: float
) -> Change | None:
    """The share of ``marked`` rows ``among`` those of a period, minus that of the first one.

    Only fits that have rows of both count, and the first month of each weighs as much as its rows
    of the period. The interval is Newcombe's (1998, method 10), from the exact intervals of both
    shares; that a row may be in both, for different fits, would make it narrower.
    """
    if number == 0:
        return None
    then, first = among & (later.period == number), among & (later.period == 0)
    weights = np.zeros(len(among))
    for fit in np.unique(later.fit[then]):
        of_fit = later.fit == fit
        if (first & of_fit).any():
            weights[first & of_fit] = (then & of_fit).sum() / (first & of_fit).sum()
        else:
            then &= ~of_fit
    first = weights > 0
    if not then.any():
        return None
    share = marked[then].mean()
    low, high = _bounds(share, effective_rows(later.family[then]), level)
    before = np.average(marked[first], weights=weights[first])
    worth = effective_rows(later.family[first], weights[first])
    low_before, high_before = _bounds(before, worth, level)
    change = float(share - before)
    return Change(
        change,
        (
            change - hypot(share - low, high_before - before),
            change + hypot(high - share, before - low_before),
        ),
    )


def _bounds(share: float, worth: float, level: float) -> tuple[float, float]:
    """The interval of a share of rows that are ``worth`` so many independent ones."""
    return interval(share * worth, worth, level) if worth else (0.0, 1.0)
