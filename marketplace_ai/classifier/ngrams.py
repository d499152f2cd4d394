"""N-gram features: TF-IDF of hashed character n-grams, with one array as the fitted state."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
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
class ClauseFeatures:
    """b texts and the p parts that they were split into; all matrices float32 csr.

    ``rows`` (b, BUCKETS), as ``NgramFeatures.transform`` gives them; ``parts`` (p, BUCKETS):
    how often each part says each n-gram; ``weights`` (b, BUCKETS): what saying it once adds to
    the row, so that parts times weights add up to it; ``owner`` intp (p,), ascending: the text
    of each part.
    """

    rows: sp.csr_matrix
    parts: sp.csr_matrix
    weights: sp.csr_matrix
    owner: npt.NDArray[np.intp]


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
        if not len(texts):
            return cls(np.ones(BUCKETS, dtype=np.float32))
        fitted = TfidfTransformer().fit(count_ngrams(texts).astype(np.float64))
        return cls(fitted.idf_.astype(np.float32))

    def transform(self, texts: Sequence[str]) -> sp.csr_matrix:
        """Return float32 csr of shape (len(texts), BUCKETS); rows of unit length, or empty.

        A text of several lines is its title plus ``BODY_WEIGHT`` times the rest, each of
        unit length first, so that a long description cannot drown its title.
        """
        if not len(texts):
            return sp.csr_matrix((0, BUCKETS), dtype=np.float32)
        titles, bodies = zip(*map(_title_and_body, texts), strict=True)
        return self._rows(count_ngrams(titles), count_ngrams(bodies) if any(bodies) else None)

    def split_features(
        self, texts: Sequence[str], split: Callable[[str], Sequence[str]]
    ) -> ClauseFeatures:
        """Transform texts, and say how much of each row each part of its text makes up.

        ``split`` cuts a title or a body between words, and loses none: n-grams lie within
        words, so the parts are hashed instead of the whole, which costs hardly more. What a
        part shares with others is divided by how often each of them says it.
        """
        if not len(texts):
            nothing = self.transform(texts)
            return ClauseFeatures(nothing, nothing, nothing, np.zeros(0, dtype=np.intp))
        sections = [split(section) for text in texts for section in _title_and_body(text)]
        owner = np.repeat(np.arange(len(sections)), [len(parts) for parts in sections])
        counts = count_ngrams([part for parts in sections for part in parts])
        each = np.ones(len(owner), dtype=np.float32), (owner, np.arange(len(owner)))
        said = sp.csr_matrix(each, shape=(len(sections), len(owner))) @ counts
        said.sort_indices()  # so that both sums below have their values in the same places
        rows, whole = self._rows(said[::2], said[1::2]), said[::2] + said[1::2]
        weights = sp.csr_matrix((rows.data / whole.data, rows.indices, rows.indptr), rows.shape)
        return ClauseFeatures(rows, counts, weights, owner // 2)

    def _rows(self, titles: sp.csr_matrix, bodies: sp.csr_matrix | None) -> sp.csr_matrix:
        rows = self._weigh(titles)
        if bodies is not None:
            rows = rows + BODY_WEIGHT * self._weigh(bodies)
        return normalize(rows.tocsr(), copy=False)

    @cached_property
    def _tfidf(self) -> TfidfTransformer:
        # Sublinear: an n-gram said five times is not five times the evidence.
        transformer = TfidfTransformer(sublinear_tf=True)
        transformer.idf_ = self.idf
        return transformer

    def _weigh(self, counts: sp.csr_matrix) -> sp.csr_matrix:
        return self._tfidf.transform(counts)


def count_ngrams(texts: Sequence[str]) -> sp.csr_matrix:
    """How often each text says each n-gram: float32 csr (len(texts), BUCKETS)."""
    if not len(texts):
        return sp.csr_matrix((0, BUCKETS), dtype=np.float32)
    # One form for "å" however it was typed; and a lone surrogate has no bytes to hash.
    plain = (unicodedata.normalize("NFKC", text) for text in texts)
    return _hashing.transform([text.encode("utf-8", "replace").decode() for text in plain])


def _title_and_body(text: str) -> tuple[str, str]:
    title, _, body = text.strip().partition("\n")
    return (text, "") if len(title) > LONGEST_TITLE else (title, body)
