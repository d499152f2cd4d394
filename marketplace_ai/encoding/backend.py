"""What runs a model: the small protocol that every back end fulfills."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

MASK = "attention_mask"
#: What the CPU allocators of torch, ONNX Runtime and C++ say; the CUDA ones have a class.
_OUT_OF_MEMORY = (
    "can't allocate memory",
    "failed to allocate memory",
    "out of memory",
    "bad_alloc",
)


@dataclass(frozen=True)
class Tokens:
    """n tokenized texts, padded to the longest of them.

    ``columns`` are the model's inputs by name, int64, each ``(n, longest)``; that named
    ``attention_mask`` is 1 where a token is and 0 where padding is. ``extras`` are inputs that
    are the same for every text.
    """

    columns: Mapping[str, NDArray[np.int64]]
    extras: Mapping[str, Any] = field(default_factory=dict)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each text, special ones included, int64 ``(n,)``."""
        lengths: NDArray[np.int64] = self.columns[MASK].sum(axis=1)
        return lengths

    def take(self, rows: Sequence[int]) -> Tokens:
        """Some of the texts, padded to the longest of these only, on whichever side padding is."""
        taken = {name: column[rows] for name, column in self.columns.items()}
        used = taken[MASK].any(axis=0)
        return Tokens({name: column[:, used] for name, column in taken.items()}, self.extras)


class Backend(Protocol):
    """A loaded model. Its prompt, pooling and normalization are those of its directory."""

    @property
    def name(self) -> str:
        """What the setting calls it: 'torch', 'onnx' or 'onnx-int8'."""

    @property
    def device(self) -> str:
        """Where it computes, for people: 'cpu' or 'cuda:0'."""

    @property
    def dtype(self) -> str:
        """What it computes in, as 'float32'."""

    @property
    def dimension(self) -> int: ...

    @property
    def max_tokens(self) -> int: ...

    @property
    def prompts(self) -> dict[str, str]: ...

    @property
    def weights_hash(self) -> str:
        """SHA-256 (hex) of the directory's weights, whatever file they are computed from."""

    @property
    def special_tokens(self) -> Sequence[str]:
        """Strings that the tokenizer would read as special tokens."""

    @property
    def token_budget(self) -> int:
        """Padded tokens of one batch that suit the device."""

    @property
    def lanes(self) -> int:
        """Batches that are best run at the same time, in as many threads: a core for each."""

    def share(self, batches: int) -> None:
        """So many batches are about to be run at the same time, and share the cores."""

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        """The texts behind the default prompt, cut off at ``max_tokens``."""

    def run(self, tokens: Tokens) -> NDArray[np.float32]:
        """Vectors of length 1, float32 ``(n, dimension)``; what the model raises is passed on."""

    def free_memory(self) -> None:
        """Give back what a failed batch left on the device."""


def cores() -> int:
    """Threads that suit this process: what OMP_NUM_THREADS says, else a core each."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    if said.isdigit() and int(said):
        return int(said)
    there = getattr(os, "sched_getaffinity", None)
    return len(there(0)) if there else os.cpu_count() or 1


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a smaller batch may help."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    message = str(error).lower()
    # ONNX Runtime's own errors are plain exceptions.
    known = isinstance(error, RuntimeError) or type(error).__module__.startswith("onnxruntime")
    return known and any(said in message for said in _OUT_OF_MEMORY)
