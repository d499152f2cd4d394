"""The ``TextEncoder`` protocol, and how one bad text is kept from failing a whole batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

#: How far from 1 the length of a vector may be; float16 weights cause about 5e-4.
UNIT_TOLERANCE = 1e-3

#: A text that every encoder can encode. If it fails too, the encoder is broken, not the text.
_KNOWN_GOOD_TEXT = "Male et soverom"


class EncoderError(Exception):
    """Something is wrong with an encoder, its files or its output; the message names the cure."""


class TextEncoder(Protocol):
    """A loaded encoder: texts in, unit vectors out. Not safe to call from two threads at once.

    >>> encoder = load_encoder("dummy:64", cache_dir=Path("unused"))
    >>> encoder.encode(["Male stue"]).shape
    (1, 64)
    """

    @property
    def name(self) -> str:
        """Short name for people: the last part of ``source``."""

    @property
    def source(self) -> str:
        """What ``load_encoder`` loads it from: 'bundled', 'dummy:64', a directory or a hub id."""

    @property
    def dimension(self) -> int:
        """Values of a vector."""

    @property
    def prompts(self) -> dict[str, str]:
        """The directory's prompts by name; empty if it has none."""

    @property
    def dtype(self) -> str:
        """The numeric type it computes in here, as 'float32'."""

    @property
    def max_tokens(self) -> int:
        """Tokens of a text that are used, special ones included; the rest is cut off."""

    @property
    def tokens_at_once(self) -> int:
        """Padded tokens that one call should bring; with more it is no faster."""

    @property
    def device_batch_tokens(self) -> int:
        """Padded tokens that the device takes at once, in all its streams."""

    @property
    def uses_all_cores(self) -> bool:
        """Whether it runs on the CPU, on all cores."""

    @property
    def weights_hash(self) -> str:
        """SHA-256 (hex) of the weights that were loaded."""

    @property
    def reference_encoder(self) -> TextEncoder:
        """The encoder for exemplars, which all workers compare with, whatever their back end.

        The encoder itself or, if its back end rounds vectors as int8 does, the same weights on
        the back end that does not, loaded at the first use. Raises ``EncoderError`` if that
        cannot be loaded."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, shape ``(len(texts), dimension)``, in the order of ``texts``.

        Equal texts in one call have equal vectors. Raises ``EncoderError`` if the output is not
        finite or not of length 1. Errors of the model are not caught.
        """

    def warm_up(self) -> None:
        """Encode the most expensive batch once, so that a lack of memory shows at the start."""


def check_vectors(vectors: NDArray[np.float32], n: int, dimension: int) -> None:
    """Raise ``EncoderError`` for vectors that must never be stored, naming the first bad row:
    wrong shape, NaN, infinity, length other than 1."""
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
            "its dtype is too narrow for this text."
        )


def encode_each(
    encoder: TextEncoder, texts: Sequence[str]
) -> list[NDArray[np.float32] | Exception]:
    """For each text its vector, of shape ``(dimension,)``, or the exception it raises alone.

    All texts go in one call. If that raises, each half is tried separately, and so on, which also
    cures a lack of memory for the whole. A failure with k bad texts among n costs about
    ``2 k log2 n`` more calls. If a known good text fails as well, the encoder is broken: raises
    ``EncoderError`` from the failure.
    """
    if not texts:
        return []
    try:
        return list(encoder.encode(texts))
    except Exception as error:  # noqa: BLE001 - no error of one text may fail the others
        failure = error
    if len(texts) == 1:
        _require_working(encoder, failure)
        return [failure]
    half = len(texts) // 2
    return [*encode_each(encoder, texts[:half]), *encode_each(encoder, texts[half:])]


def _require_working(encoder: TextEncoder, failure: Exception) -> None:
    try:
        encoder.encode([_KNOWN_GOOD_TEXT])
    except Exception as error:
        raise EncoderError(
            f"The encoder {encoder.name} fails on every text ({failure}). "
            "The device or the model is at fault, not the posting: restart the worker."
        ) from error
