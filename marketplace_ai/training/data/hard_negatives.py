"""Hard negatives: for each pair the nearest text of another category, by the base encoder."""

from __future__ import annotations

from typing import Any

import numpy as np

from .training_data import TrainingData

#: A negative's cosine must be at least this share below the positive's: nearer texts are too
#: often false negatives (Moreira et al., 2024, "TopK-PercPos").
RELATIVE_MARGIN = 0.05
_BLOCK_SIZE = 512


def hard_negatives(model: Any, data: TrainingData) -> list[int]:
    """For each pair the row of another pair, of another category, whose anchor is its negative.

    ``model`` is a SentenceTransformer. The negative is the nearest anchor that keeps
    ``RELATIVE_MARGIN``, or the most distant one if none does.
    """
    anchors = _encode(model, [pair.anchor for pair in data.pairs])
    positives = _encode(model, [pair.positive for pair in data.pairs])
    categories = np.array(data.categories())
    negatives: list[int] = []
    for start in range(0, len(anchors), _BLOCK_SIZE):
        rows = np.arange(start, min(start + _BLOCK_SIZE, len(anchors)))
        cosines = anchors[rows] @ anchors.T
        limits = (1 - RELATIVE_MARGIN) * np.einsum("ij,ij->i", anchors[rows], positives[rows])
        is_other = categories[rows, None] != categories[None, :]
        is_allowed = is_other & (cosines < limits[:, None])
        nearest = np.where(is_allowed, cosines, -np.inf).argmax(axis=1)
        farthest = np.where(is_other, cosines, np.inf).argmin(axis=1)
        negatives += np.where(is_allowed.any(axis=1), nearest, farthest).tolist()
    return negatives


def _encode(model: Any, texts: list[str]) -> Any:
    return model.encode(texts, batch_size=64, show_progress_bar=False, normalize_embeddings=True)
