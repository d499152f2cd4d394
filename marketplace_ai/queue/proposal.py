"""Proposals: what a classifier says about postings, before anything is decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from marketplace_ai.models import Outcome


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a classifier says about one posting; categories are primary keys.

    ``category`` None means "fits no category". ``matches`` are (exemplar id, similarity, share).
    ``second_categories``: further categories that other parts of the posting fit.
    """

    outcome: Outcome
    category: Any | None
    probability: float | None = None
    threshold: float | None = None
    matches: tuple[tuple[int, float, float], ...] = ()
    own_share: float = 0.0
    choices: tuple[tuple[Any | None, float], ...] = ()
    second_categories: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class EncodedPosting:
    """One claimed posting with its vector (None: nothing to encode) and its proposal."""

    row_id: int
    posting_id: Any
    digest: bytes
    vector: NDArray[np.float32] | None
    proposal: Proposal
