"""Whether audited postings refute the promise: a test that may be looked at after every answer.

The hypothesis is "of what is applied automatically, at most ``allowed`` is wrong". The test is
an e-process: a number that starts at 1 and, while the hypothesis holds, exceeds 1/alpha at
any time at all with a chance of at most alpha (Ville 1939). So it may be evaluated after each
row, for ever, where a binomial test repeated that often would raise a false alarm sooner or later.

It is the likelihood of what was seen under a mixture of error rates above ``allowed``, over
its likelihood at ``allowed`` itself (Robbins 1970, "Statistical methods related to the law of the
iterated logarithm"; Ramdas, Gruenwald, Vovk and Shafer 2023, "Game-theoretic statistics and safe
anytime-valid inference"). Each error rate of the mixture gives a supermartingale for every smaller
true one, and so does their mean. Python's ``math`` alone, because web processes ask it too.
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
    """The strongest case so far: ``errors`` in the first ``rows``; ``log_e`` natural log."""

    rows: int
    errors: int
    log_e: float

    @property
    def e_value(self) -> float:
        return math.exp(min(self.log_e, 700.0))


#: Before anything was seen.
NO_EVIDENCE = EValue(0, 0, 0.0)


def largest_e_value(wrong: Sequence[int], allowed: float) -> EValue:
    """The largest e value along the way.

    ``wrong`` are the places, from 1 and ascending, of the wrong rows in the order in which
    all rows were drawn; every other row counts as right. A row that nobody judged yet is among
    those, which can only make the e value smaller: so whichever rows are judged first,
    or only, no false alarm comes of it.
    """
    best = NO_EVIDENCE
    for errors, rows in enumerate(wrong, start=1):
        found = log_e(errors, rows, allowed)
        if found > best.log_e:
            best = EValue(rows, errors, found)
    return best


def log_e(errors: int, rows: int, allowed: float) -> float:
    """Natural logarithm of the e value against "the error rate is at most ``allowed``"."""
    if not 0 <= errors <= rows:
        raise ValueError(f"{errors} errors in {rows} rows: errors lie between 0 and the rows")
    return _log_e(errors, rows, allowed, _shape(allowed))


def log_threshold(confidence: float, tests: int = 1) -> float:
    """What ``log_e`` must reach to refute, so that of ``tests`` tests together none raises a
    false alarm with a chance above 1 - ``confidence`` (union bound)."""
    return math.log(tests / (1 - confidence))


def anytime_lower_bound(found: EValue, allowed: float, threshold: float) -> float:
    """An error rate that the true one is not below, at every time together with the chance
    that ``threshold`` (a ``log_threshold``) stands for; 0.0 where nothing can be said.

    The largest rate that the same test, asked about that rate, would refute. It lies below
    errors / (rows + b), up to where the e value falls as the rate asked about rises.
    """
    b = _shape(allowed)
    low, high = 0.0, found.errors / (found.rows + b)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if middle > 0 and _log_e(found.errors, found.rows, middle, b) >= threshold:
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
    mixture = log_beta + _log_at_most(errors, rows + b, allowed) + math.log(b)
    return mixture - errors * math.log(allowed) - (right + b) * math.log1p(-allowed)


def _log_at_most(errors: int, rows: int, rate: float) -> float:
    """Logarithm of the chance of at most ``errors`` errors in ``rows`` at ``rate``."""
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
