"""How many exemplars of people's are enough: known to workers, fits and web processes alike."""

from __future__ import annotations

#: From here on a category's exemplars say alone what belongs to it: its description steps aside,
#: and a fit learns a pattern of it, however many the others have.
MIN_EXEMPLARS_FOR_HEAD = 12
#: With fewer at the fit the promise over all categories does not cover a category.
MIN_EXEMPLARS_FOR_GUARANTEE = 3
