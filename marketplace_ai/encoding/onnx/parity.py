"""What an exported encoder has to prove before it is used: numbers in, numbers out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

#: Smallest cosine to torch's vector that a float32 export may show on any text.
MIN_COSINE = 0.999
#: Points of first choice that an int8 export may cost, and the labelled rows needed to say so:
#: with 200 a single row is half a point.
MAX_LOSS, MIN_ROWS = 0.5, 200
#: Nearest rows that vote.
NEIGHBORS = 10

#: Lengths from nothing to far above what a model reads, and what tokenizers stumble over;
#: encoded together, so that nearly every one is padded.
PROBES = [
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
    """Of unit vectors, row by row; both ``(n, d)``."""
    return float(np.einsum("ij,ij->i", vectors, expected).min())


def first_choice(queries: Floats, exemplars: Floats, labels: Sequence[str]) -> float:
    """Share of rows whose label has the most similarity among the ten nearest other rows.

    Row i of ``queries`` and of ``exemplars``, unit vectors ``(n, d)``, is the same text; it has
    no vote on itself. Similarities are counted above that of the eleventh, since encoders
    that give any two texts a cosine of 0.8 would otherwise only count heads.
    """
    names, codes = np.unique(np.asarray(labels, dtype=str), return_inverse=True)
    similarity = queries @ exemplars.T
    np.fill_diagonal(similarity, -np.inf)
    rows = np.arange(len(codes))[:, None]
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, : NEIGHBORS + 1]
    voted = similarity[rows, nearest]
    votes = np.zeros((len(codes), len(names)))
    np.add.at(votes, (rows, codes[nearest[:, :-1]]), voted[:, :-1] - voted[:, -1:] + 1e-9)
    return float((votes.argmax(axis=1) == codes).mean())
