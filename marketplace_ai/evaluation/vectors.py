"""Vectors of labeled rows, each text encoded once, and a folder that caches them between runs."""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt

from marketplace_ai.classifier import LabeledTexts
from marketplace_ai.encoding import TextEncoder, encode_each
from marketplace_ai.encoding.progress import Progress, silent
from marketplace_ai.text.csv_files import TableError
from marketplace_ai.text.labeled_csv import LabeledRows
from marketplace_ai.text.normalize import digest

from .inputs import Inputs

Floats = npt.NDArray[np.float32]

#: Texts between two steps of a progress bar.
STEP = 256


@dataclass(frozen=True, eq=False)
class EncodedRows:
    """n labeled rows with their unit vectors, float32 (n, d)."""

    rows: LabeledRows
    vectors: Floats

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def labeled(self) -> LabeledTexts:
        """The rows as a classifier takes them: each with the first of its labels."""
        return LabeledTexts(self.rows.texts, self.vectors, self.rows.labels, self.rows.families)

    def take(self, numbers: Sequence[int]) -> EncodedRows:
        return EncodedRows(self.rows.take(numbers), self.vectors[list(numbers)])


def encode(
    encoder: TextEncoder,
    files: Sequence[LabeledRows],
    *,
    kept_in: Path | None = None,
    progress: Progress = silent,
) -> list[EncodedRows]:
    """The files' rows with vectors; equal texts are encoded once, and a file that is there twice is
    the same object twice.

    ``kept_in``: a folder with the vectors of earlier runs, to which new ones are added.
    TableError names the line of a text that the encoder refuses; EncoderError where it
    refuses every text.
    """
    known = _load(kept_in, encoder)
    places = {
        digest(text): (rows, number)
        for rows in reversed(files)
        for number, text in reversed(list(enumerate(rows.texts)))
    }
    missing = [key for key in places if key not in known]
    if missing:
        with progress("Encoding", len(missing)) as advance:
            for start in range(0, len(missing), STEP):
                step = missing[start : start + STEP]
                texts = [places[key][0].texts[places[key][1]] for key in step]
                for key, vector in zip(step, encode_each(encoder, texts), strict=True):
                    if isinstance(vector, Exception):
                        rows, number = places[key]
                        raise TableError(
                            f"{rows.path}, line {rows.lines[number]}: the encoder {encoder.name} "
                            f"fails on this text ({vector}). Correct or remove the row."
                        )
                    known[key] = vector
                advance(len(step))
        if kept_in is not None:
            _save(kept_in, encoder, known)
    empty = np.zeros((0, encoder.dimension), dtype=np.float32)
    encoded = {
        id(rows): EncodedRows(
            rows, np.stack([known[digest(text)] for text in rows.texts]) if rows else empty
        )
        for rows in files
    }
    return [encoded[id(rows)] for rows in files]


def encode_inputs(
    encoder: TextEncoder,
    inputs: Inputs,
    *,
    kept_in: Path | None = None,
    progress: Progress = silent,
) -> list[EncodedRows]:
    """``inputs.files`` with the vectors that a worker would have: exemplars' by the reference
    encoder of ``encoder``, postings' by ``encoder``. For the rest see ``encode``."""
    if encoder.reference_encoder is encoder:
        return encode(encoder, inputs.files, kept_in=kept_in, progress=progress)
    exemplars, *postings = inputs.files
    return [
        *encode(encoder.reference_encoder, [exemplars], kept_in=kept_in, progress=progress),
        *encode(encoder, postings, kept_in=kept_in, progress=progress),
    ]


def _file(folder: Path, encoder: TextEncoder) -> Path:
    """Everything that a vector hangs on, beside its text, is in the name."""
    state = [encoder.weights_hash, encoder.dimension, encoder.max_tokens, encoder.dtype]
    name = sha256(json.dumps([*state, encoder.prompts], sort_keys=True).encode()).hexdigest()
    return folder / f"vectors-{name[:24]}.npz"


def _load(folder: Path | None, encoder: TextEncoder) -> dict[bytes, Floats]:
    if folder is None or not (file := _file(folder, encoder)).exists():
        return {}
    try:
        with np.load(file, allow_pickle=False) as stored:
            keys, vectors = stored["digests"], stored["vectors"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise TableError(
            f"{file}: these kept vectors cannot be read ({error}). Delete it."
        ) from None
    if keys.shape != (len(vectors), 16) or vectors.shape[1:] != (encoder.dimension,):
        raise TableError(f"{file}: these kept vectors do not fit their texts. Delete it.")
    return dict(zip((key.tobytes() for key in keys), vectors, strict=True))


def _save(folder: Path, encoder: TextEncoder, known: dict[bytes, Floats]) -> None:
    file = _file(folder, encoder)
    keys = np.frombuffer(b"".join(known), dtype=np.uint8).reshape(len(known), 16)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".vectors-", suffix=".npz", dir=folder)
    except OSError as error:
        raise TableError(f"{folder}: vectors cannot be kept there: {error.strerror}.") from None
    try:
        with os.fdopen(handle, "wb") as stream:
            np.savez(stream, digests=keys, vectors=np.stack(list(known.values())))
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
