"""A fitted classifier as bytes: arrays as safetensors, the rest as JSON, never pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

FORMAT = "marketplace_ai.classifier/5"
_KEY = "marketplace_ai"

Arrays = dict[str, npt.NDArray[Any]]


class ArtifactError(ValueError):
    """The bytes are not a classifier that this version can read; the message says why."""


def pack(arrays: Mapping[str, npt.NDArray[Any]], state: Mapping[str, Any]) -> bytes:
    """Serialize arrays and JSON-able state, with a digest over both."""
    tensors = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    text = json.dumps(state, sort_keys=True, ensure_ascii=False, allow_nan=False)
    # One entry: safetensors writes several in an order of chance, and equal classifiers
    # should be equal bytes.
    entry = {"format": FORMAT, "state": text, "sha256": _digest(tensors, text)}
    return bytes(save(tensors, metadata={_KEY: json.dumps(entry, ensure_ascii=False)}))


def unpack(data: bytes) -> tuple[Arrays, dict[str, Any]]:
    """Read what ``pack`` wrote.

    Raises ArtifactError for bytes that are cut short, changed, or of another format.
    """
    data = bytes(data)
    metadata = _metadata(data)
    found = metadata.get("format", "none")
    if found != FORMAT:
        raise ArtifactError(f"classifier of format {found!r}, expected {FORMAT!r}: fit it again")
    try:
        arrays = load(data)
    except SafetensorError as error:
        raise ArtifactError(f"the classifier's bytes are damaged ({error}): fit it again") from None
    text = metadata.get("state", "")
    if _digest(arrays, text) != metadata.get("sha256"):
        raise ArtifactError("the classifier's bytes were changed after it was stored: fit it again")
    state: dict[str, Any] = json.loads(text)
    return arrays, state


def _metadata(data: bytes) -> dict[str, str]:
    # The safetensors package reads metadata from files only; the header is 8 bytes of
    # length, then JSON (https://huggingface.co/docs/safetensors, "Format").
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or size > len(data) - 8:
        raise ArtifactError(f"{len(data)} bytes are too few for a classifier: fit it again")
    try:
        entry = json.loads(json.loads(data[8 : 8 + size])["__metadata__"][_KEY])
    except (ValueError, KeyError, TypeError):
        raise ArtifactError(
            "the bytes are not a classifier (no header that this version knows): fit it again"
        ) from None
    return entry if isinstance(entry, dict) else {}


def _digest(arrays: Mapping[str, npt.NDArray[Any]], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
