"""Minimum numbers of exemplars, for workers, fits and web processes alike."""

from __future__ import annotations

#: From this many exemplars on, a category's description stops voting, and a fit learns linear
#: heads for the category however many exemplars the others have.
MIN_EXEMPLARS_FOR_HEAD = 12
#: The same for a category without a description: with fewer, beside others that have many, the
#: vote scores it alone.
MIN_EXEMPLARS_FOR_HEAD_UNDESCRIBED = 3
#: A category with fewer exemplars at the fit is not covered by the overall guarantee.
MIN_EXEMPLARS_FOR_GUARANTEE = 3
