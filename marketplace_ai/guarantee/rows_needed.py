"""How many rows, or answers of the audit, an exact bound asks for; plain arithmetic, which web
processes can run."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .sequential_test import log_at_most
from .target import Target

#: More answers than this are no plan: the error rate seen is too near the allowed one.
MAX_ANSWERS = 10_000


def rows_needed(target: Target, errors: int = 0) -> int:
    """Fewest rows that prove ``target`` in spite of ``errors`` errors.

    By the upper bound of Clopper and Pearson (1934): it is at most the allowed error rate where so
    few errors, at that rate, have a probability of at most 1 - confidence level.

    >>> rows_needed(Target()), rows_needed(Target(), 1)
    (99, 157)
    """
    level, allowed = math.log(1 - target.confidence_level), target.max_error_rate
    low, high = errors, errors + 1
    while log_at_most(errors, high, allowed) > level:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        if log_at_most(errors, middle, allowed) > level:
            low = middle
        else:
            high = middle
    return high


@dataclass(frozen=True, slots=True)
class AuditEvidence:
    """Counted answers of the random audit about automatic postings, and how many are wrong."""

    answers: int
    errors: int


def answers_missing(evidence: AuditEvidence, target: Target) -> int | None:
    """How many more answers about automatic postings prove ``target``, if the same share of them
    is wrong as so far (rounded up); None if no number up to ``MAX_ANSWERS`` does.

    >>> [answers_missing(AuditEvidence(answers, 0), Target()) for answers in (0, 40)]
    [99, 59]
    """
    answers, errors = evidence.answers, evidence.errors
    if not 0 <= errors <= answers:
        raise ValueError(f"{errors} errors in {answers} answers: errors lie between 0 and those")
    if not errors:
        return max(0, rows_needed(target) - answers)
    # At the rate seen there are up to k errors in as many answers as this:
    longest = [k * answers // errors for k in range(MAX_ANSWERS * errors // answers + 1)]
    # The bound allows k errors in ever fewer answers for each, so once they suffice they always do.
    low, high = errors - 1, len(longest) - 1
    if high < errors or rows_needed(target, high) > longest[high]:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if rows_needed(target, middle) <= longest[middle]:
            high = middle
        else:
            low = middle
    return max(rows_needed(target, high), longest[high - 1] + 1, answers) - answers
