"""``DummyEncoder``: an encoder without weights, for tests: fast and deterministic."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from marketplace_ai.encoding.text_encoder import EncoderError, check_vectors

_GRAMS = (3, 4, 5)
#: Texts hashed at a time, which bounds the memory of a call with very many.
_CHUNK = 1024
# Odd 64-bit multipliers of the splitmix64 generator (Steele, Lea and Flood, 2014).
_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xBF58476D1CE4E5B9)


class DummyEncoder:
    """Signed feature hashing of the character 3- to 5-grams of the lower-cased text.

    Texts that share words are close, as with a real encoder, but nothing is understood: synonyms
    are as far apart as any two words. Every blank text has the same vector.
    """

    dtype = "float32"
    max_tokens = 1_000_000
    tokens_at_once = 1 << 16
    device_batch_tokens = 1 << 16
    uses_all_cores = False

    def __init__(self, dimension: int = 64) -> None:
        if dimension < 2:
            raise EncoderError(f"A dummy encoder needs a dimension of 2 or more, not {dimension}.")
        self.dimension = dimension
        self.name = f"dummy:{dimension}"
        self.source = self.name
        self.prompts: dict[str, str] = {}
        self.weights_hash = sha256(f"dummy encoder 1, {dimension}".encode()).hexdigest()

    @property
    def reference_encoder(self) -> DummyEncoder:
        return self

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, float32, shape ``(len(texts), dimension)``."""
        chunks = [
            self._encode_chunk(texts[start : start + _CHUNK])
            for start in range(0, len(texts), _CHUNK)
        ]
        vectors = np.concatenate(chunks) if chunks else np.empty((0, self.dimension), np.float32)
        check_vectors(vectors, len(texts), self.dimension)
        return vectors

    def warm_up(self) -> None:
        """No effect: there is nothing to load."""

    def _encode_chunk(self, texts: Sequence[str]) -> NDArray[np.float32]:
        # One array of code points for all texts: a loop over grams in Python is 50 times slower.
        padded = [f" {' '.join(text.lower().split())} " for text in texts]
        codes = np.frombuffer(
            "".join(padded).encode("utf-32-le", "surrogatepass"), dtype=np.uint32
        ).astype(np.uint64)
        owner = np.repeat(np.arange(len(texts)), [len(text) for text in padded])
        sums = np.zeros(len(texts) * self.dimension)
        for size in _GRAMS:
            count = len(codes) - size + 1
            if count <= 0:
                continue
            grams = np.full(count, size, dtype=np.uint64)
            for offset in range(size):
                grams = (grams ^ codes[offset : offset + count]) * _STEP
                grams ^= grams >> np.uint64(29)
            grams = (grams * _MIX) >> np.uint64(20)
            inside = owner[:count] == owner[size - 1 :]
            grams, owners = grams[inside], owner[:count][inside]
            bucket = (grams >> np.uint64(1)) % np.uint64(self.dimension)
            sign = 1.0 - 2.0 * (grams & np.uint64(1))
            sums += np.bincount(
                owners * self.dimension + bucket.astype(np.intp), sign, minlength=len(sums)
            )
        vectors = sums.reshape(len(texts), self.dimension)
        vectors[~vectors.any(axis=1), 0] = 1.0
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors.astype(np.float32)
