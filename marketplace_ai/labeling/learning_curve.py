"""The learning curve: how a share of errors falls with the number of labels, as an inverse power
law (Hestness et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

#: Floors that are tried, as shares of the smallest error that was seen.
_FLOORS = np.linspace(0, 0.95, 20)


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """The error after n labels is ``floor`` + ``scale`` * n ** -``exponent``."""

    floor: float
    scale: float
    exponent: float

    def error(self, labels: float) -> float:
        return float(min(1.0, self.floor + self.scale * labels**-self.exponent))

    def labels_to(self, error: float) -> float:
        """How many labels bring the error down to this one; infinity where none do."""
        if error >= 1:
            return 0.0
        if error <= self.floor:
            return float("inf")
        return float((self.scale / (error - self.floor)) ** (1 / self.exponent))


def fit_curve(labels: Floats, errors: Floats) -> LearningCurve | None:
    """The curve with the least squared differences from ``errors`` (s,) after ``labels`` (s,).

    None where the errors do not fall, and with fewer than three sizes: nothing is known then.
    """
    errors = np.maximum(errors, 1e-4)
    if len(labels) < 3 or errors[-1] >= errors[0]:
        return None
    at = np.log(labels)
    centered = at - at.mean()
    best, least = None, np.inf
    for floor in _FLOORS * errors.min():
        above = np.log(errors - floor)
        slope = float(centered @ above / (centered @ centered))
        if slope >= 0:
            continue
        curve = LearningCurve(float(floor), float(np.exp(above.mean() - slope * at.mean())), -slope)
        missed = float(((curve.floor + curve.scale * labels**slope - errors) ** 2).sum())
        if missed < least:
            best, least = curve, missed
    return best
