"""Texts into vectors. The one room that knows torch, sentence-transformers and ONNX Runtime.

Importing it imports none of them: they come with the first encoder that needs them.
"""

import os

from marketplace_ai.encoding.bundled_e5.encoder import embedded_directory
from marketplace_ai.encoding.dtype import DTYPES
from marketplace_ai.encoding.dummy import DummyEncoder
from marketplace_ai.encoding.load import BACKENDS, find_directory, is_source, load_encoder
from marketplace_ai.encoding.model_directory import check_directory, describe, weights_hash
from marketplace_ai.encoding.onnx.exported import is_any_exported
from marketplace_ai.encoding.text_encoder import (
    EncoderError,
    TextEncoder,
    check_vectors,
    encode_each,
)

# Read when ONNX Runtime is imported, which else reports to its maker, with a number that it
# gives this machine.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__all__ = [
    "BACKENDS",
    "DTYPES",
    "DummyEncoder",
    "EncoderError",
    "TextEncoder",
    "check_directory",
    "check_vectors",
    "describe",
    "embedded_directory",
    "encode_each",
    "find_directory",
    "is_any_exported",
    "is_source",
    "load_encoder",
    "weights_hash",
]
