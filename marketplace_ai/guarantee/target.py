"""What a guarantee has to prove: a precision, with a confidence level."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """The precision asked for, and the probability with which the guarantee holds.

    These defaults are the only place where the project's 0.97 and 0.95 are written. Raises
    ValueError for a value outside (0, 1).

    >>> Target().max_error_rate
    0.030000000000000027
    """

    precision: float = 0.97
    confidence_level: float = 0.95

    def __post_init__(self) -> None:
        if not 0 < self.precision < 1 or not 0 < self.confidence_level < 1:
            raise ValueError(
                f"target precision {self.precision} and confidence level {self.confidence_level} "
                "must lie between 0 and 1, as 0.97 and 0.95"
            )

    @property
    def max_error_rate(self) -> float:
        return 1 - self.precision

    def is_stricter_than(self, other: Target) -> bool:
        """Whether it asks for more than ``other`` in either respect."""
        return self.precision > other.precision or self.confidence_level > other.confidence_level


DEFAULT_TARGET = Target()
