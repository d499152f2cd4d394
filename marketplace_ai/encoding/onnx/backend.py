"""The ONNX Runtime back end: an exported encoder on the CPU, the fastest without a GPU.

Neither torch nor transformers is imported: a worker on this back end needs 0.4 GB less.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketplace_ai.encoding.backend import ATTENTION_MASK, Tokens, num_threads
from marketplace_ai.encoding.onnx.exported import MODEL, TOKENIZER, Manifest
from marketplace_ai.encoding.text_encoder import EncoderError

#: Padded tokens of one device batch.
TOKEN_BUDGET = 512
#: Bytes of a graph up to which each core runs a device batch of its own, which is an eighth
#: faster on two cores and short texts. On one core a larger graph takes too long for one text.
_MAX_STREAMED_SIZE = 1 << 29
_CURE = 'ONNX Runtime is not installed: pip install "marketplace-ai[onnx]", or set '


class OnnxBackend:
    """An export, loaded from what ``read_export`` returned."""

    device = "cpu"
    token_budget = TOKEN_BUDGET

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        """Raises ``EncoderError`` if ONNX Runtime is missing or cannot load the graph."""
        try:
            import onnxruntime
        except ImportError as error:
            raise EncoderError(f"{_CURE}MARKETPLACE_AI_BACKEND to 'torch'.") from error
        from tokenizers import Tokenizer

        self.name = "onnx" if manifest.kind == "float32" else "onnx-int8"
        self.dtype = manifest.kind
        self.dimension = manifest.dimension
        self.max_tokens = manifest.max_tokens
        self.prompts = manifest.prompts
        self.weights_hash = manifest.source_weights
        self.special_tokens = manifest.special_tokens
        self._prompt = manifest.prompt
        self._inputs = manifest.inputs
        size = sum(file.stat().st_size for file in folder.glob(f"{MODEL}*"))
        self.num_streams = num_threads() if size <= _MAX_STREAMED_SIZE else 1
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = num_threads() // self.num_streams
        # Threads that spin while they wait take the cores that the database needs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session: Any = onnxruntime.InferenceSession(
                str(folder / MODEL), options, providers=["CPUExecutionProvider"]
            )
            self._tokenizer: Any = Tokenizer.from_file(str(folder / TOKENIZER))
        except Exception as error:
            raise EncoderError(f"The export in {folder} cannot be loaded: {error}") from error
        self._tokenizer.enable_truncation(
            manifest.max_tokens, direction="left" if manifest.truncates_left else "right"
        )
        self._tokenizer.enable_padding(
            pad_id=manifest.pad_token_id, direction="left" if manifest.pads_left else "right"
        )

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        encodings = self._tokenizer.encode_batch([self._prompt + text for text in texts])
        columns = {
            "input_ids": np.array([text.ids for text in encodings], dtype=np.int64),
            ATTENTION_MASK: np.array([text.attention_mask for text in encodings], dtype=np.int64),
            "token_type_ids": np.array([text.type_ids for text in encodings], dtype=np.int64),
        }
        return Tokens({name: columns[name] for name in {*self._inputs, ATTENTION_MASK}})

    def run(self, tokens: Tokens) -> NDArray[np.float32]:
        feed = {name: np.ascontiguousarray(tokens.columns[name]) for name in self._inputs}
        vectors: NDArray[np.float32] = self._session.run(None, feed)[0]
        return vectors

    def set_concurrency(self, batches: int) -> None:
        """No effect: a session keeps the threads that it was made with."""

    def free_memory(self) -> None:
        """No effect: the arena keeps its memory for the next batch."""
