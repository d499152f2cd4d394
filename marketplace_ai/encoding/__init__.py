"""Encoders: texts to vectors. Only this package and training know torch, sentence-transformers
and ONNX Runtime.

Importing it imports none of them: they are imported with the first encoder that needs them.
"""

import os

import marketplace_ai.encoding.builtin_backends  # noqa: F401 (registers them)
from marketplace_ai.encoding.bundled_e5.encoder import bundled_directory
from marketplace_ai.encoding.dtype import DTYPES
from marketplace_ai.encoding.dummy import DummyEncoder
from marketplace_ai.encoding.load import load_encoder
from marketplace_ai.encoding.model_directory import check_directory, describe, weights_hash
from marketplace_ai.encoding.sources import (
    canonical_source,
    find_directory,
    is_source,
    spellings,
)
from marketplace_ai.encoding.text_encoder import (
    EncoderError,
    TextEncoder,
    check_vectors,
    encode_each,
)

# Read when ONNX Runtime is imported, which otherwise sends its maker usage data with an id that
# it gives this machine.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__all__ = [
    "DTYPES",
    "DummyEncoder",
    "EncoderError",
    "TextEncoder",
    "bundled_directory",
    "canonical_source",
    "check_directory",
    "check_vectors",
    "describe",
    "encode_each",
    "find_directory",
    "is_source",
    "load_encoder",
    "spellings",
    "weights_hash",
]
