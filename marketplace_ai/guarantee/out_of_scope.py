"""What a guarantee is worth when postings come in that fit no category."""

from __future__ import annotations

from dataclasses import dataclass

from .basis import OutOfScope
from .bounds import error_lower_bound, error_upper_bound, rows_needed
from .target import Target

#: The share of the stream that the question is asked for.
TENTH = 0.1


@dataclass(frozen=True, slots=True)
class Decided:
    """``rows`` of one kind, of which ``automatic`` are decided without a person and ``errors``
    wrongly; kin count once."""

    rows: int
    automatic: int
    errors: int


def out_of_scope(inside: Decided, outside: Decided, target: Target) -> OutOfScope:
    """What is known from rows with a category (``inside``) and without one (``outside``).

    The worst precision combines three exact bounds (Clopper and Pearson 1934), each at a third of
    the error probability, so that together they hold at the confidence level (union bound): how
    many rows with a category are automatic at least, how many of those are wrong at most, and how
    many rows without a category are accepted at most. Without such rows all may be.

    >>> found = out_of_scope(Decided(1000, 700, 7), Decided(0, 0, 0), Target())
    >>> found.precision, round(found.worst_precision, 3)
    (None, 0.839)
    """
    level = 1 - (1 - target.confidence_level) / 3
    worst = 1.0
    if inside.automatic or outside.automatic:
        worst = _precision(
            error_lower_bound(inside.automatic, inside.rows, level),
            error_upper_bound(inside.errors, inside.automatic, level),
            error_upper_bound(outside.automatic, outside.rows, level),
        )
    seen = None
    if outside.rows and inside.rows:
        seen = _precision(
            inside.automatic / inside.rows,
            inside.errors / max(inside.automatic, 1),
            outside.automatic / outside.rows,
        )
    missing = max(0, rows_needed(target, outside.automatic) - outside.rows)
    return OutOfScope(outside.rows, outside.automatic, seen, worst, missing)


def _precision(automatic: float, wrong: float, accepted: float) -> float:
    """Of what is automatic, the share that is right: a tenth of the postings fits nothing."""
    inside, outside = (1 - TENTH) * automatic, TENTH * accepted
    return inside * (1 - wrong) / (inside + outside) if inside + outside else 1.0
