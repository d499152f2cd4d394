"""Triplet accuracy: how often a text is nearer to its positive than to its negative."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketplace_ai.encoding.text_encoder import TextEncoder
from marketplace_ai.training.data.row_files import Triplet

Floats = NDArray[np.float32]
#: Texts encoded between two progress reports.
BATCH_SIZE = 256


def triplet_accuracy(anchors: Floats, positives: Floats, negatives: Floats) -> dict[str, Any]:
    """The share of n triplets, vectors ``(n, d)``, whose positive is nearer than the negative.

    By cosine, dot product, Euclidean and Manhattan distance, as the TripletEvaluator of
    sentence-transformers computes them since version 3: larger similarity, smaller distance.
    (Earlier versions counted the dot product the wrong way round: 0.0275 in a card means
    0.9725.) For unit vectors the first three are equal. A tie counts as wrong.
    """
    a, p, n = (rows.astype(np.float64) for rows in (anchors, positives, negatives))

    def cosine(x: Any, y: Any) -> Any:
        lengths = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
        return np.einsum("ij,ij->i", x, y) / lengths

    is_right = {
        "cosine": cosine(a, p) > cosine(a, n),
        "dot": np.einsum("ij,ij->i", a, p) > np.einsum("ij,ij->i", a, n),
        "euclidean": np.linalg.norm(a - p, axis=1) < np.linalg.norm(a - n, axis=1),
        "manhattan": np.abs(a - p).sum(axis=1) < np.abs(a - n).sum(axis=1),
    }
    shares = {f"{name}_accuracy": float(right.mean()) for name, right in is_right.items()}
    return {"n": len(anchors), **shares}


def evaluate_triplets(
    encoder: TextEncoder,
    triplets: Sequence[Triplet],
    progress: Callable[[int], None] = lambda encoded: None,
) -> dict[str, Any]:
    """``triplet_accuracy`` of an encoder as it is served, with its own prompt.

    ``progress`` is called with the number of texts encoded since the last call.
    """
    texts = list(dict.fromkeys(text for row in triplets for text in row[:3]))
    positions = {text: position for position, text in enumerate(texts)}
    vectors = np.empty((len(texts), encoder.dimension), dtype=np.float32)
    for start in range(0, len(texts), BATCH_SIZE):
        batch = texts[start : start + BATCH_SIZE]
        vectors[start : start + BATCH_SIZE] = encoder.encode(batch)
        progress(len(batch))
    rows = np.array([[positions[text] for text in row[:3]] for row in triplets])
    return triplet_accuracy(*(vectors[rows[:, column]] for column in range(3)))
