"""Text similarity by character n-grams: TF-IDF over hashed features, fitted state plain arrays."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.preprocessing import normalize

#: 2 to 5 characters see through the compounds and inflections of the Nordic languages, and
#: through typos; the number of hash buckets costs nothing in accuracy from 2**15 on.
NGRAMS = (2, 5)
BUCKETS = 2**16
#: How much the lines after the first count beside it. A posting's first line is its title,
#: which says what is wanted; what follows also names rooms, materials and other trades.
BODY_WEIGHT = 0.5
#: A first line longer than this is no title, and the whole text counts alike.
LONGEST_TITLE = 200

_hashing = HashingVectorizer(
    analyzer="char_wb",
    ngram_range=NGRAMS,
    n_features=BUCKETS,
    alternate_sign=False,
    norm=None,
    dtype=np.float32,
)


@dataclass(frozen=True, eq=False)
class NgramFeatures:
    """Texts to unit rows of character n-grams, weighted by how rare each is.

    ``idf`` is float32 of shape (BUCKETS,). Hashing needs no vocabulary, so a text with new
    n-grams is compared without a refit.
    """

    idf: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.idf.shape != (BUCKETS,):
            raise ValueError(
                f"n-gram weights have shape {self.idf.shape}, expected ({BUCKETS},): "
                "they belong to another version of the text features"
            )

    @classmethod
    def fit(cls, texts: Sequence[str]) -> NgramFeatures:
        """Learn how rare each n-gram is: log((1 + n) / (1 + texts that have it)) + 1."""
        counts = _count(texts) if len(texts) else sp.csr_matrix((0, BUCKETS))
        frequency = np.bincount(counts.indices, minlength=BUCKETS)
        idf = np.log((1 + len(texts)) / (1 + frequency)) + 1
        return cls(idf.astype(np.float32))

    def transform(self, texts: Sequence[str]) -> sp.csr_matrix:
        """Return float32 csr of shape (len(texts), BUCKETS); rows of unit length, or empty.

        A text of several lines is its title plus ``BODY_WEIGHT`` times the rest, each of
        unit length first, so that a long description cannot drown its title.
        """
        if not len(texts):
            return sp.csr_matrix((0, BUCKETS), dtype=np.float32)
        titles, bodies = zip(*map(_title_and_body, texts), strict=True)
        rows = self._weigh(titles)
        if any(bodies):
            rows = rows + BODY_WEIGHT * self._weigh(bodies)
        return normalize(rows.tocsr(), copy=False)

    def _weigh(self, texts: Sequence[str]) -> sp.csr_matrix:
        counts = _count(texts)
        # A gram said five times is not five times the evidence.
        counts.data = (1 + np.log(counts.data)) * self.idf[counts.indices]
        return normalize(counts, copy=False)


def _count(texts: Sequence[str]) -> sp.csr_matrix:
    # One form for "å" however it was typed; and a lone surrogate has no bytes to hash.
    plain = (unicodedata.normalize("NFKC", text) for text in texts)
    return _hashing.transform([text.encode("utf-8", "replace").decode() for text in plain])


def _title_and_body(text: str) -> tuple[str, str]:
    title, _, body = text.strip().partition("\n")
    return (text, "") if len(title) > LONGEST_TITLE else (title, body)
