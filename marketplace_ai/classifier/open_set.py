"""The open set: when a posting is unlike all that is known, although no exemplar shows "none".

Two things say so: the exemplars of all categories together give it a low density, and no category
stands out. Each misses what the other sees. Something in another language is far from everything;
what belongs to a category that nobody has made yet is near to several. A posting is "none" where
both together are lower than for nearly all known rows, each of which was scored by a fit without
its family.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

#: The share of known rows that may be taken for "none". (At 0.02 at most 1.6% of further rows of
#: each of four data sets were, at 0.03 2.3%; postings are farther from exemplars than these rows.)
KNOWN_REJECTED = 0.02
#: Of fewer rows that share is none, and what a few exemplars look like says nothing about postings.
MIN_ROWS = round(1 / KNOWN_REJECTED)
#: A best category that is surer than this is not doubtful, however sure the others are; and less
#: than this spread of its log odds is none. Otherwise, where all known rows are certain, one that
#: is nearly certain would be strange.
SURE, MIN_SPREAD = 0.95, 1.0


@dataclass(frozen=True, eq=False)
class OpenSet:
    """What known rows look like, by their density and the log odds of their best category.

    ``center`` (2,) and ``scale`` (2,) are median and standard deviation of both among known rows.
    A row's *shortfall* is how far it lies below the centers, in scales, summed: 0 for a row
    with nothing unusual. ``limit`` is the shortfall that ``KNOWN_REJECTED`` of the known rows
    exceed.
    """

    center: Floats
    scale: Floats
    limit: float

    @classmethod
    def fit(cls, density: Floats, best: Floats) -> OpenSet | None:
        """Fit on n known rows: log density over all categories and the best category's score
        (see ``excess``). None with fewer than ``MIN_ROWS``."""
        rows = np.column_stack([density, _log_odds(best)])
        rows = rows[np.isfinite(density)]
        if len(rows) < MIN_ROWS:
            return None
        # Without any spread, any other row would be infinitely far.
        scale = np.maximum(rows.std(axis=0), [1e-3, MIN_SPREAD])
        plain = cls(np.median(rows, axis=0), scale, 0.0)
        return cls(
            plain.center, scale, float(np.quantile(plain._shortfall(rows), 1 - KNOWN_REJECTED))
        )

    def excess(self, density: Floats, best: Floats) -> Floats:
        """How far b postings exceed the limit, (b,); above 0 they are taken for "none".

        It is the log odds of "none" in a stream of which a tenth fits no category: a logistic
        regression on known rows and those of left out categories, of the training rows of four
        data sets, has a slope of 0.8 and an offset of -0.2.

        ``density`` (b,) is the log density over all categories (-inf: nothing votes), ``best``
        (b,) the pooled score of the best category.
        """
        return self._shortfall(np.column_stack([density, _log_odds(best)])) - self.limit

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"center": self.center.tolist(), "scale": self.scale.tolist(), "limit": self.limit}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> OpenSet:
        """Read what ``as_dict`` returned. Raises KeyError or TypeError for anything else."""
        return cls(np.array(values["center"]), np.array(values["scale"]), values["limit"])

    def _shortfall(self, rows: Floats) -> Floats:
        below = np.maximum(self.center - rows, 0.0) / self.scale
        return np.asarray(below.sum(axis=1))


def _log_odds(best: Floats) -> Floats:
    clipped = np.clip(best, 1e-6, SURE)
    return np.asarray(np.log(clipped / (1 - clipped)))
