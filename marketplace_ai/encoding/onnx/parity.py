"""The parity check: how closely an export agrees with the model it was made from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

#: Smallest cosine to torch's vector that a float32 export may have on any text.
MIN_COSINE_TO_TORCH = 0.999
#: Percentage points of first choices that an int8 export may cost.
MAX_POINTS_LOST = 0.5
#: Labeled texts needed to measure that: with 200 a single text is half a point.
MIN_LABELED_TEXTS = 200
#: Nearest texts that vote in ``first_choice``.
NUM_NEIGHBORS = 10

#: Texts from empty to far longer than a model reads, and strings that tokenizers get wrong. They
#: are encoded together, so that nearly all of them are padded.
PROBE_TEXTS = [
    "",
    "a",
    "Male stue og gang, ca. 40 kvm",
    "Bytte stoppekran",
    "Legge ½ tonn belegningsstein på Årnes\n\n10\u00a0m² flis på bad 🏠",
    "  Two  spaces,\ttabs, CAPITALS and a [MASK] <s>token</s>  ",
    "Need a plumber: the kitchen tap drips, and the bathroom drain is slow. " * 3,
    "Felle to store bjørketrær nær huset, kappe og kjøre bort alt. " * 8,
    "Male " * 900,
    *(f"Trenger hjelp til {number} vinduer. " * (number % 7 + 1) for number in range(23)),
]


def smallest_cosine(vectors: Floats, expected: Floats) -> float:
    """Smallest cosine of two sets of unit vectors, row by row; both ``(n, d)``."""
    return float(np.einsum("ij,ij->i", vectors, expected).min())


def first_choice(queries: Floats, exemplars: Floats, labels: Sequence[str]) -> float:
    """Share of texts whose label has the largest vote of the ten most similar other texts.

    Row i of ``queries`` and of ``exemplars``, unit vectors ``(n, d)``, is the same text, which
    does not vote on itself. A vote is the similarity above that of the eleventh text: encoders
    that give any two texts a cosine of 0.8 would otherwise make all votes equal.
    """
    names, codes = np.unique(np.asarray(labels, dtype=str), return_inverse=True)
    similarity = queries @ exemplars.T
    np.fill_diagonal(similarity, -np.inf)
    rows = np.arange(len(codes))[:, None]
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, : NUM_NEIGHBORS + 1]
    nearest_similarity = similarity[rows, nearest]
    weights = nearest_similarity[:, :-1] - nearest_similarity[:, -1:] + 1e-9
    votes = np.zeros((len(codes), len(names)))
    np.add.at(votes, (rows, codes[nearest[:, :-1]]), weights)
    return float((votes.argmax(axis=1) == codes).mean())
