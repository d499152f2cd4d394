"""How often an encoder puts what says the same nearer than what says something else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketplace_ai.encoding.text_encoder import TextEncoder
from marketplace_ai.training.data.datasets import Triplet

Floats = NDArray[np.float32]
STEP = 256


def triplet_accuracy(anchors: Floats, positives: Floats, negatives: Floats) -> dict[str, Any]:
    """Shares of n triplets, vectors ``(n, d)``, whose positive is nearer than their negative.

    By cosine, dot product, Euclidean and Manhattan distance, as the TripletEvaluator of
    sentence-transformers counts them since version 3: larger similarity, smaller distance.
    (Before, the dot product was counted the wrong way round: a card that says 0.0275 means
    0.9725.) Of unit vectors the first three are equal. A tie counts as wrong.
    """
    a, p, n = (rows.astype(np.float64) for rows in (anchors, positives, negatives))

    def cosine(x: Any, y: Any) -> Any:
        lengths = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
        return np.einsum("ij,ij->i", x, y) / lengths

    nearer = {
        "cosine": cosine(a, p) > cosine(a, n),
        "dot": np.einsum("ij,ij->i", a, p) > np.einsum("ij,ij->i", a, n),
        "euclidean": np.linalg.norm(a - p, axis=1) < np.linalg.norm(a - n, axis=1),
        "manhattan": np.abs(a - p).sum(axis=1) < np.abs(a - n).sum(axis=1),
    }
    shares = {f"{name}_accuracy": float(right.mean()) for name, right in nearer.items()}
    return {"n": len(anchors), **shares}


def measure(
    encoder: TextEncoder, triplets: Sequence[Triplet], progress: Any = lambda encoded: None
) -> dict[str, Any]:
    """``triplet_accuracy`` of an encoder as it is served, its own prompt included."""
    texts = list(dict.fromkeys(text for row in triplets for text in row[:3]))
    places = {text: place for place, text in enumerate(texts)}
    vectors = np.empty((len(texts), encoder.dimension), dtype=np.float32)
    for start in range(0, len(texts), STEP):
        some = texts[start : start + STEP]
        vectors[start : start + STEP] = encoder.encode(some)
        progress(len(some))
    rows = np.array([[places[text] for text in row[:3]] for row in triplets])
    return triplet_accuracy(*(vectors[rows[:, column]] for column in range(3)))
