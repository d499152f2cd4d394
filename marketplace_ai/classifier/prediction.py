"""The prediction for one posting, with the exemplars that decided it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["automatic", "automatic_parent", "review", "none"]

MAX_CHOICES = 5
MAX_MATCHES = 20


@dataclass(frozen=True, slots=True)
class Match:
    """An exemplar that voted: hybrid similarity up to 1, and its share of the whole score."""

    exemplar_id: int
    label: str | None
    similarity: float
    share: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """The first choice, how likely it is right, and whether a person is needed.

    ``label`` is the first choice (None: fits no category) and ``probability`` its
    calibrated probability; ``best_category`` the best with "none" left out; ``parent`` what is
    applied when only the parent is certain. ``threshold`` is the one the outcome had to
    reach; None if no guarantee covers such a posting.

    ``score`` is the first choice's part of the pooled score, which is 1 over all labels and
    decides. It adds up: the shares of the matches with the same label, plus ``other_share`` (its
    exemplars not among the matches), plus ``head_share`` (the linear heads).

    ``second_categories``: further categories that another part of the text supports, at present
    at most one, each with its strength (log odds above 0), whatever the outcome.
    """

    label: str | None
    probability: float
    threshold: float | None
    outcome: Outcome
    best_category: str | None
    parent: str | None
    choices: tuple[tuple[str | None, float], ...]
    matches: tuple[Match, ...]
    score: float
    head_share: float
    other_share: float
    second_categories: tuple[tuple[str, float], ...]
