"""The back-end protocol: what runs a model, and the tokens it is given."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

ATTENTION_MASK = "attention_mask"
#: Messages of the CPU allocators of torch, ONNX Runtime and C++; the CUDA ones have a class.
_OUT_OF_MEMORY = (
    "can't allocate memory",
    "failed to allocate memory",
    "out of memory",
    "bad_alloc",
)


@dataclass(frozen=True)
class Tokens:
    """n tokenized texts, padded to the longest of them.

    ``columns`` are the model's inputs by name, int64, each ``(n, longest)``; the one named
    ``attention_mask`` is 1 for a token and 0 for padding. ``extras`` are inputs that are the
    same for every text.
    """

    columns: Mapping[str, NDArray[np.int64]]
    extras: Mapping[str, Any] = field(default_factory=dict)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each text, special ones included, int64 ``(n,)``."""
        lengths: NDArray[np.int64] = self.columns[ATTENTION_MASK].sum(axis=1)
        return lengths

    def take(self, rows: Sequence[int]) -> Tokens:
        """The texts of these rows, padded to the longest of them, on whichever side padding is."""
        taken = {name: column[rows] for name, column in self.columns.items()}
        used = taken[ATTENTION_MASK].any(axis=0)
        return Tokens({name: column[:, used] for name, column in taken.items()}, self.extras)


class Problem(NamedTuple):
    """What this machine lacks for a back end, and the command that provides it."""

    message: str
    cure: str


class Backend(Protocol):
    """A loaded model. Its prompt, pooling and normalization are those of its directory.

    Registered by a ``backend_registry.BackendSpec`` of the same name.
    """

    @property
    def name(self) -> str:
        """The value of MARKETPLACE_AI_BACKEND that chooses it, as 'torch'."""

    @property
    def device(self) -> str:
        """Where it computes: 'cpu', or a device such as 'cuda:0'."""

    @property
    def dtype(self) -> str:
        """The numeric type it computes in, as 'float32'."""

    @property
    def dimension(self) -> int:
        """Values of a vector."""

    @property
    def max_tokens(self) -> int:
        """Tokens of a text that are used, special ones included; the rest is cut off."""

    @property
    def prompts(self) -> dict[str, str]:
        """The directory's prompts by name."""

    @property
    def weights_hash(self) -> str:
        """SHA-256 (hex) of the directory's weights, whatever file they are computed from."""

    @property
    def special_tokens(self) -> Sequence[str]:
        """Strings that the tokenizer would read as special tokens."""

    @property
    def token_budget(self) -> int:
        """Padded tokens of one device batch that suit the device."""

    @property
    def num_streams(self) -> int:
        """Device batches that are best run at the same time, each in a thread and on a core."""

    def set_concurrency(self, batches: int) -> None:
        """Announce that ``batches`` calls of ``run`` will share the cores from now on."""

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        """The texts with the default prompt in front, cut off at ``max_tokens``."""

    def run(self, tokens: Tokens) -> NDArray[np.float32]:
        """Unit vectors, float32 ``(n, dimension)``. Errors of the model are not caught."""

    def free_memory(self) -> None:
        """Release what a failed batch left on the device."""


def num_threads() -> int:
    """Threads that suit this process: OMP_NUM_THREADS if it is set, else one for each core."""
    configured = os.environ.get("OMP_NUM_THREADS", "")
    if configured.isdigit() and int(configured):
        return int(configured)
    get_affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    return len(get_affinity(0)) if get_affinity else os.cpu_count() or 1


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a smaller batch may help."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    message = str(error).lower()
    # ONNX Runtime's own errors are plain exceptions.
    is_runtime_error = isinstance(error, RuntimeError) or type(error).__module__.startswith(
        "onnxruntime"
    )
    return is_runtime_error and any(text in message for text in _OUT_OF_MEMORY)
