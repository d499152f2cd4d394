"""For each pair the nearest text of another category, by the encoder as it is."""

from __future__ import annotations

from typing import Any

import numpy as np

from .loading import Data

#: A negative must be less alike than this part of the positive's cosine: what is nearer is
#: too often right after all (Moreira et al., 2024, "TopK-PercPos").
PART_OF_POSITIVE = 0.95
STEP = 512


def hard_negatives(model: Any, data: Data) -> list[int]:
    """For each pair the number of another pair whose anchor is its negative.

    ``model`` is a SentenceTransformer. Of anchors of other categories the nearest one below
    ``PART_OF_POSITIVE``; where there is none, the least alike.
    """
    anchors = _encode(model, [pair.anchor for pair in data.pairs])
    positives = _encode(model, [pair.positive for pair in data.pairs])
    codes = np.array(data.categories())
    found: list[int] = []
    for start in range(0, len(anchors), STEP):
        rows = np.arange(start, min(start + STEP, len(anchors)))
        similar = anchors[rows] @ anchors.T
        bound = PART_OF_POSITIVE * np.einsum("ij,ij->i", anchors[rows], positives[rows])
        others = codes[rows, None] != codes[None, :]
        allowed = others & (similar < bound[:, None])
        nearest = np.where(allowed, similar, -np.inf).argmax(axis=1)
        least = np.where(others, similar, np.inf).argmin(axis=1)
        found += np.where(allowed.any(axis=1), nearest, least).tolist()
    return found


def _encode(model: Any, texts: list[str]) -> Any:
    return model.encode(texts, batch_size=64, show_progress_bar=False, normalize_embeddings=True)
