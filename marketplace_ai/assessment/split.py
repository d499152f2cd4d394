"""What an assessment holds out: the newest postings, or a draw, families whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from marketplace_ai.classifier.near_duplicates import group_folds

Codes = npt.NDArray[np.intp]
_EPOCH = datetime(1970, 1, 1)

#: The part that is held out, and how far from it a part may be that begins with a date.
PARTS = 5
_SMALLEST, _LARGEST = 0.05, 0.4


@dataclass(frozen=True, eq=False)
class Split:
    """Row numbers of the ``older`` rows, which teach, and of those ``held_out``.

    ``since`` is when the held-out ones begin; None where they were drawn at random.
    """

    older: Codes
    held_out: Codes
    since: datetime | None


def choose_rows(dates: Sequence[datetime | None], rows: int, limit: int, seed: int = 0) -> Codes:
    """The numbers of at most ``limit`` of n rows, in order: the newest, or, where ``dates`` is
    empty, drawn at random. A row without a date counts as the oldest."""
    if rows <= limit:
        return np.arange(rows)
    if not any(dates):
        return np.sort(np.random.default_rng(seed).choice(rows, size=limit, replace=False))
    return np.sort(np.argsort(-_numbers(dates), kind="stable")[:limit])


def split_rows(
    families: Codes, labels: Codes, dates: Sequence[datetime | None] = (), seed: int = 0
) -> Split:
    """Hold about a fifth of n rows out; ``families`` (n,) are kept whole, and are as old as their
    first row.

    The newest rows where ``dates`` tell enough of them apart; else a draw that has as large a share
    of each label (n,) as families allow. Raises ValueError where all rows are of one family.
    """
    if len(np.unique(families)) < 2:
        raise ValueError("all rows are of one family")
    if any(dates):
        began = _first_of_family(_numbers(dates), families)
        moments, counts = np.unique(began, return_counts=True)
        newer = counts[::-1].cumsum()[::-1] / len(began)  # the share from each moment on
        place = int(np.abs(newer - 1 / PARTS).argmin())
        if _SMALLEST <= newer[place] <= _LARGEST and np.isfinite(moments[place]):
            held_out = began >= moments[place]
            since = _EPOCH + timedelta(seconds=float(moments[place]))
            return Split(np.flatnonzero(~held_out), np.flatnonzero(held_out), since)
    drawn = group_folds(families, labels, PARTS, seed)[0]
    return Split(np.setdiff1d(np.arange(len(families)), drawn), drawn, None)


def _numbers(dates: Sequence[datetime | None]) -> npt.NDArray[np.float64]:
    """The dates as numbers; an unknown one is before all others."""
    return np.array(
        [-np.inf if date is None else (date - _EPOCH).total_seconds() for date in dates]
    )


def _first_of_family(moments: npt.NDArray[np.float64], families: Codes) -> npt.NDArray[np.float64]:
    """The first moment of each row's family."""
    _, codes = np.unique(families, return_inverse=True)
    first = np.full(int(codes.max()) + 1, np.inf)
    np.minimum.at(first, codes, moments)
    return np.asarray(first[codes])
