"""Shares of rows with their intervals, and how one differs from another; kin count once."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot
from typing import Literal

import numpy as np
import numpy.typing as npt

from marketplace_ai.guarantee.target import Target

from .metrics import effective_rows, interval

Bools = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.intp]
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


def measure(marked: Bools, families: Codes) -> Proportion:
    """The share of rows that are ``marked`` (n,), numbered by family (n,)."""
    hits, n = int(marked.sum()), len(marked)
    return Proportion(hits, n, _bounds(hits / max(n, 1), effective_rows(families), 0.95))


def compare(
    marked: Bools,
    families: Codes,
    marked_before: Bools,
    families_before: Codes,
    weights_before: npt.NDArray[np.float64],
    level: float,
) -> Change:
    """How the share of ``marked`` rows (n,) differs from the weighted one of earlier rows (m,).

    The interval at this level is Newcombe's (1998, method 10), from the exact ones of both shares.
    """
    share, worth = float(marked.mean()), effective_rows(families)
    before = float(np.average(marked_before, weights=weights_before))
    low, high = _bounds(share, worth, level)
    low_before, high_before = _bounds(
        before, effective_rows(families_before, weights_before), level
    )
    return Change(
        share - before,
        (
            share - before - hypot(share - low, high_before - before),
            share - before + hypot(high - share, before - low_before),
        ),
    )


def _bounds(share: float, worth: float, level: float) -> tuple[float, float]:
    """The interval of a share of rows that are ``worth`` so many independent ones."""
    return interval(share * worth, worth, level) if worth else (0.0, 1.0)
