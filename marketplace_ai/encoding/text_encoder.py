"""What every encoder promises, and how one bad text is kept from harming the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

#: How far from 1 the length of a vector may be; float16 weights leave about 5e-4.
UNIT_TOLERANCE = 1e-3

#: A text that every encoder can encode; what tells a bad text from a broken encoder.
_HARMLESS = "Male et soverom"


class EncoderError(Exception):
    """Something is wrong with an encoder, its files or its output; the message says the cure."""


class TextEncoder(Protocol):
    """Texts in, unit vectors out. Not safe to call from two threads at once."""

    @property
    def name(self) -> str:
        """Short, for people: the source without the folders above it."""

    @property
    def source(self) -> str:
        """What ``load_encoder`` was given: 'embedded', 'dummy:64', a directory or a hub id."""

    @property
    def dimension(self) -> int:
        """Values in a vector."""

    @property
    def prompts(self) -> dict[str, str]:
        """The directory's prompts by name; empty where it has none."""

    @property
    def dtype(self) -> str:
        """What this process computes in, as 'float32'."""

    @property
    def max_tokens(self) -> int:
        """Tokens of a text that are looked at, special ones included; the rest is cut off."""

    @property
    def tokens_at_once(self) -> int:
        """Padded tokens that it works on at a time; more in one call are no faster."""

    @property
    def takes_cores(self) -> bool:
        """Whether it computes on the CPU, with all its cores."""

    @property
    def weights_hash(self) -> str:
        """SHA-256 (hex) of the weights that were loaded."""

    @property
    def exact(self) -> TextEncoder:
        """The same encoder for what is kept and compared with: itself, or where it computes in
        int8, its float32 export, loaded at the first use. Raises ``EncoderError`` where that
        cannot be loaded."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, shape ``(len(texts), dimension)``, in the order of ``texts``.

        Equal texts in one call have equal vectors. Raises ``EncoderError`` where the output is
        not finite or not of length 1; what the model itself raises is passed on.
        """

    def warm_up(self) -> None:
        """Encode once what costs most, so that a lack of memory shows at the start."""


def check_vectors(vectors: NDArray[np.float32], n: int, dimension: int) -> None:
    """Refuse what must never be stored: wrong shape, NaN, infinity, length other than 1.

    Raises ``EncoderError`` that names the first bad row.
    """
    if vectors.shape != (n, dimension):
        raise EncoderError(
            f"The encoder returned an array of shape {vectors.shape} for {n} texts; "
            f"({n}, {dimension}) was expected. Does its directory match its registration?"
        )
    lengths = np.linalg.norm(vectors, axis=1)
    # The comparison is false for NaN, so this finds non-finite rows as well.
    bad = np.flatnonzero(~(np.abs(lengths - 1) <= UNIT_TOLERANCE))
    if bad.size:
        row = int(bad[0])
        raise EncoderError(
            f"The encoder returned {bad.size} of {n} vectors that are not finite unit vectors; "
            f"the first is row {row}, of length {lengths[row]:.4g}. Its weights are damaged or "
            "its precision is too low for this text."
        )


def encode_each(
    encoder: TextEncoder, texts: Sequence[str]
) -> list[NDArray[np.float32] | Exception]:
    """A vector of shape ``(dimension,)`` for each text, or the exception it raises by itself.

    All texts go in one call. When that raises, each half is tried by itself, and so on: a text
    that fails alone gets its exception, all others get their vectors (a lack of memory for
    the whole is cured by halving, too). A failure with k bad texts among n costs about
    ``2 k log2 n`` further calls. Where a harmless text fails as well, no text is to blame:
    raises ``EncoderError`` from the failure.
    """
    if not texts:
        return []
    try:
        return list(encoder.encode(texts))
    except Exception as error:  # noqa: BLE001 - whatever one text raises must not reach the others
        failure = error
    if len(texts) == 1:
        _require_working(encoder, failure)
        return [failure]
    half = len(texts) // 2
    return [*encode_each(encoder, texts[:half]), *encode_each(encoder, texts[half:])]


def _require_working(encoder: TextEncoder, failure: Exception) -> None:
    try:
        encoder.encode([_HARMLESS])
    except Exception as error:
        raise EncoderError(
            f"The encoder {encoder.name} fails on every text ({failure}). "
            "The device or the model is at fault, not the posting: start the worker anew."
        ) from error
