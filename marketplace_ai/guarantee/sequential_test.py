"""Sequential test of a guarantee on audited postings; it may be evaluated after every answer.

The hypothesis is "of what is applied automatically, at most ``allowed`` is wrong". The test is
an e-process: a number that starts at 1 and, while the hypothesis holds, ever exceeds 1/alpha with
a probability of at most alpha (Ville 1939). It may be evaluated after each row, indefinitely; a
binomial test repeated that often would sooner or later raise a false alarm.

It is the likelihood of the observations under a mixture of error rates above ``allowed``, divided
by their likelihood at ``allowed`` itself (Robbins 1970, "Statistical methods related to the law of
the iterated logarithm"; Ramdas, Gruenwald, Vovk and Shafer 2023, "Game-theoretic statistics and
safe anytime-valid inference"). Each error rate of the mixture gives a supermartingale for every
smaller true one, and so does their mean. Only Python's ``math`` is used, because web processes run
the test too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

#: The mixture is Beta(1, b) cut to the rates above the allowed one, with its mean at about
#: three times the allowed rate: most power where a drift is worth stopping for.
MIXTURE_MEAN = 3.0
_BISECTIONS = 50


@dataclass(frozen=True, slots=True)
class EValue:
    """The largest e-value so far: ``log_e`` after ``rows`` rows with ``errors`` errors."""

    rows: int
    errors: int
    log_e: float

    @property
    def e_value(self) -> float:
        return math.exp(min(self.log_e, 700.0))


#: Before the first row.
NO_EVIDENCE = EValue(0, 0, 0.0)


def largest_e_value(wrong: Sequence[int], allowed: float) -> EValue:
    """The largest e-value over time.

    ``wrong`` are the places, from 1 and ascending, of the wrong rows in the order in which
    all rows were drawn; every other row counts as right. That includes
    rows without an answer yet, which can only lower the e-value, so the order in which rows are
    answered raises no false alarm.
    """
    best = NO_EVIDENCE
    for errors, rows in enumerate(wrong, start=1):
        found = log_e(errors, rows, allowed)
        if found > best.log_e:
            best = EValue(rows, errors, found)
    return best


def log_e(errors: int, rows: int, allowed: float) -> float:
    """Natural logarithm of the e-value against "the error rate is at most ``allowed``"."""
    if not 0 <= errors <= rows:
        raise ValueError(f"{errors} errors in {rows} rows: errors lie between 0 and the rows")
    return _log_e(errors, rows, allowed, _shape(allowed))


def log_threshold(confidence_level: float, tests: int = 1) -> float:
    """What ``log_e`` must reach to refute, so that of ``tests`` tests together none raises a
    false alarm with a probability above 1 - ``confidence_level`` (union bound)."""
    return math.log(tests / (1 - confidence_level))


def anytime_lower_bound(e_value: EValue, allowed: float, threshold: float) -> float:
    """Lower bound on the error rate that holds at all times together, with the probability that
    ``threshold`` (a ``log_threshold``) stands for; 0.0 without evidence.

    The largest rate that the same test, asked about that rate, would refute. It lies below
    errors / (rows + b), up to where the e value falls as the rate asked about rises.
    """
    b = _shape(allowed)
    low, high = 0.0, e_value.errors / (e_value.rows + b)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if middle > 0 and _log_e(e_value.errors, e_value.rows, middle, b) >= threshold:
            low = middle
        else:
            high = middle
    return low


def _shape(allowed: float) -> int:
    if not 0 < allowed < 1:
        raise ValueError(f"the allowed error rate must lie between 0 and 1, not {allowed}")
    return max(1, round(1 / (MIXTURE_MEAN * allowed)))


def _log_e(errors: int, rows: int, allowed: float, b: int) -> float:
    """The mixture's integral in closed form: an incomplete beta function, which for whole
    numbers is a binomial tail (Abramowitz and Stegun, 26.5.24)."""
    right = rows - errors
    log_beta = math.lgamma(errors + 1) + math.lgamma(right + b) - math.lgamma(rows + b + 1)
    mixture = log_beta + log_at_most(errors, rows + b, allowed) + math.log(b)
    return mixture - errors * math.log(allowed) - (right + b) * math.log1p(-allowed)


def log_at_most(errors: int, rows: int, rate: float) -> float:
    """Logarithm of the probability of at most ``errors`` errors in ``rows`` rows, if each is wrong
    with the probability ``rate``, in (0, 1)."""
    top = min(errors, int((rows + 1) * rate))  # the likeliest of 0 to errors
    log_top = (
        math.lgamma(rows + 1) - math.lgamma(top + 1) - math.lgamma(rows - top + 1)
        + top * math.log(rate) + (rows - top) * math.log1p(-rate)
    )  # fmt: skip
    odds = rate / (1 - rate)
    total = term = 1.0
    for k in range(top, 0, -1):
        term *= k / ((rows - k + 1) * odds)
        total += term
        if term < total * 1e-17:
            break
    term = 1.0
    for k in range(top, errors):
        term *= (rows - k) / (k + 1) * odds
        total += term
        if term < total * 1e-17:
            break
    return log_top + math.log(total)
