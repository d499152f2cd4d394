"""What a reviewer's time is worth: hours a month that automatic decisions save."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

_SECONDS_AN_HOUR = 3600
_DAYS_A_MONTH = 30.44
#: Shorter spans than this say nothing about a month.
_SHORTEST_SPAN = 28


@dataclass(frozen=True, slots=True)
class Workload:
    """``per_month`` postings, each of which takes a person ``seconds``; ``measured``: the number of
    postings is the rate of the file, and nobody stated it."""

    per_month: float
    seconds: float
    measured: bool

    def hours_saved(self, coverage: float) -> float:
        """Hours a month if this share needs no person.

        >>> Workload(6000, 30, False).hours_saved(0.5)
        25.0
        """
        return self.per_month * coverage * self.seconds / _SECONDS_AN_HOUR


def find_workload(
    per_month: float | None, seconds: float, dates: Sequence[datetime | None]
) -> Workload | None:
    """The workload as stated, or at the rate of the ``dates``; None where neither is known."""
    if per_month is not None:
        return Workload(per_month, seconds, measured=False)
    known = [date for date in dates if date is not None]
    days = (max(known) - min(known)).total_seconds() / 86400 if known else 0.0
    if days < _SHORTEST_SPAN:
        return None
    return Workload(len(known) / days * _DAYS_A_MONTH, seconds, measured=True)
