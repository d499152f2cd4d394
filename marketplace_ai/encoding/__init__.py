"""Texts into vectors. The one room that knows torch and sentence-transformers.

Importing it imports neither: they come with the first encoder that needs them.
"""

from marketplace_ai.encoding.base import (
    EncoderError,
    TextEncoder,
    check_vectors,
    encode_each,
)
from marketplace_ai.encoding.directory import check_directory, describe, weights_hash
from marketplace_ai.encoding.dummy import DummyEncoder
from marketplace_ai.encoding.embedded import embedded_directory
from marketplace_ai.encoding.load import is_source, load_encoder

__all__ = [
    "DummyEncoder",
    "EncoderError",
    "TextEncoder",
    "check_directory",
    "check_vectors",
    "describe",
    "embedded_directory",
    "encode_each",
    "is_source",
    "load_encoder",
    "weights_hash",
]
