"""A sentence-transformers directory as an ONNX graph that was proven to give the same vectors.

Pooling, normalization and a truncated dimension are in the graph; the prompt and the tokenizer
lie beside it. What does not agree with torch is refused and never reaches its place.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from marketplace_ai.encoding.atomic_dir import put
from marketplace_ai.encoding.batched_encoder import BatchedEncoder
from marketplace_ai.encoding.dtype import Device
from marketplace_ai.encoding.model_directory import settings_hash
from marketplace_ai.encoding.onnx import parity
from marketplace_ai.encoding.onnx.backend import OnnxBackend
from marketplace_ai.encoding.onnx.exported import (
    MODEL,
    TOKENIZER,
    Kind,
    Manifest,
    export_folder,
    model_hash,
)
from marketplace_ai.encoding.onnx.quantize import quantize
from marketplace_ai.encoding.optional_deps import quiet, require
from marketplace_ai.encoding.sentence_transformer import TorchBackend
from marketplace_ai.encoding.text_encoder import EncoderError

_PACKAGES = ("onnxruntime", "onnx", "onnxscript")
#: Who gives advice to the exporters' own developers.
_LOGGERS = ("torch.onnx", "onnxscript", "root")
#: All probes in few batches: the more of them are padded, the better.
_PROBE_BUDGET = 1 << 15

#: Labelled texts, about, whose activations tell what rounding costs.
_WATCHED = 24
#: Labelled texts that int8 is measured on; all pairs of them are compared.
_MOST_ROWS = 4000

Say = Callable[[str], None]
#: Texts with their categories.
Labelled = Sequence[tuple[str, str]]


def export(
    directory: Path,
    cache_dir: Path,
    *,
    labelled: Labelled | None = None,
    links_within: Path | None = None,
    progress: Say = lambda line: None,
) -> dict[Kind, Manifest]:
    """Export in float32, and with ``labelled`` rows in int8 too; each replaces an earlier one.

    The float32 export must agree with torch to a cosine of 0.999 on padded batches of mixed
    lengths. The int8 one may cost half a point of first choice on ``labelled``, compared with
    the same texts in float32, as exemplars are. Takes a minute or two and
    memory of about four times the weights. Raises ``EncoderError`` where a package is missing,
    the model cannot be exported, or the proof fails; then nothing has changed.
    """
    require(_PACKAGES, "An export", "onnx")
    if labelled is not None and len(labelled) < parity.MIN_ROWS:
        raise EncoderError(
            f"{len(labelled)} labelled texts cannot tell what int8 costs: {parity.MIN_ROWS} are "
            "needed. Give more of them, or export without --int8."
        )
    progress("Loading the encoder …")
    torch_backend = TorchBackend(directory, links_within=links_within, device=Device("cpu"))
    reference = BatchedEncoder(torch_backend, str(directory))
    root = export_folder(cache_dir, torch_backend.weights_hash, "float32").parent
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".exporting-", dir=root) as name:
            made: dict[Kind, Manifest] = {}
            building = Path(name)
            made["float32"] = _float32(building / "float32", directory, reference, progress)
            if labelled is not None:
                made["int8"] = _int8(building, made["float32"], reference, labelled, progress)
            for kind in made:
                put(building / kind, root / kind)
    except OSError as error:
        raise EncoderError(
            f"The export cannot be written to {root}: {error}. Set MARKETPLACE_AI_CACHE_DIR to a "
            "folder with room for twice the weights."
        ) from error
    return made


def _float32(folder: Path, directory: Path, reference: BatchedEncoder, progress: Say) -> Manifest:
    backend = reference.backend
    assert isinstance(backend, TorchBackend)  # noqa: S101 (export makes no other)
    progress("Exporting the graph …")
    folder.mkdir()
    inputs = write_graph(backend, folder / MODEL)
    tokenizer = _fast_tokenizer(backend, directory)
    tokenizer.backend_tokenizer.save(str(folder / TOKENIZER), pretty=False)
    manifest = Manifest(
        kind="float32",
        source_weights=backend.weights_hash,
        source_settings=settings_hash(directory),
        model_hash=model_hash(folder),
        dimension=backend.dimension,
        max_tokens=backend.max_tokens,
        prompt=backend.prompt,
        prompts=backend.prompts,
        special_tokens=backend.special_tokens,
        padding=int(tokenizer.pad_token_id or 0),
        left=tokenizer.padding_side == "left",
        truncate_left=tokenizer.truncation_side == "left",
        inputs=inputs,
        versions={name: version(name) for name in ("torch", *_PACKAGES)},
    )
    progress("Comparing it with torch …")
    exported = BatchedEncoder(OnnxBackend(folder, manifest), reference.source, _PROBE_BUDGET)
    cosine = parity.smallest_cosine(exported.encode(parity.PROBES), reference.encode(parity.PROBES))
    # The comparison is false for NaN as well.
    if not cosine >= parity.MIN_COSINE:
        raise EncoderError(
            f"The export of {directory} is refused: on padded batches its vectors agree with "
            f"torch's to a cosine of {cosine:.4f} only, {parity.MIN_COSINE} is needed. This model "
            "cannot be exported; let MARKETPLACE_AI_BACKEND be 'torch'."
        )
    manifest.proof["smallest_cosine"] = cosine
    manifest.write(folder)
    return manifest


def _int8(
    building: Path,
    float32: Manifest,
    reference: BatchedEncoder,
    labelled: Labelled,
    progress: Say,
) -> Manifest:
    progress("Quantizing …")
    folder = building / "int8"
    folder.mkdir()
    exact = BatchedEncoder(OnnxBackend(building / "float32", float32), reference.source)
    drawn = np.random.default_rng(0).permutation(len(labelled))[:_MOST_ROWS]
    texts, labels = [labelled[i][0] for i in drawn], [labelled[i][1] for i in drawn]
    with quiet(*_LOGGERS):
        kept = quantize(
            building / "float32" / MODEL,
            folder / MODEL,
            float32.inputs,
            exact.backend.tokenize(texts[:: len(texts) // _WATCHED]),
        )
    shutil.copyfile(building / "float32" / TOKENIZER, folder / TOKENIZER)
    changed = {"kind": "int8", "model_hash": model_hash(folder), "proof": {}}
    manifest = Manifest(**{**vars(float32), **changed})
    rounded = BatchedEncoder(OnnxBackend(folder, manifest), reference.source)
    progress(f"Measuring what int8 costs on {len(texts):,} labelled texts …")
    before, after = exact.encode(texts), rounded.encode(texts)
    right = parity.first_choice(before, before, labels)
    lost = 100 * (right - parity.first_choice(after, before, labels))
    if not lost <= parity.MAX_LOSS:
        raise EncoderError(
            f"The int8 export is refused: on {len(texts)} labelled texts it costs {lost:.2f} "
            f"points of first choice; {parity.MAX_LOSS} is allowed. Export without --int8."
        )
    manifest.proof.update(
        kept_in_float32=kept,
        rows=len(texts),
        first_choice_float32=right,
        points_lost=lost,
        smallest_cosine=parity.smallest_cosine(after, before),
    )
    manifest.write(folder)
    return manifest


def write_graph(backend: TorchBackend, file: Path) -> list[str]:
    """Write the whole way from tokens to unit vectors as ONNX; the names of its inputs.

    By ``torch.export``: tracing bakes in whether the example was padded, and so loses the mask.
    """
    import torch

    example = backend.tokenize(["male stue", "legge nytt tak på hytta i skogen"])
    names = list(example.columns)

    class TokensToVectors(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = backend.model

        def forward(self, *columns: Any) -> Any:
            return backend.vectors({**dict(zip(names, columns, strict=True)), **example.extras})

    batch = torch.export.Dim("batch", min=1, max=1 << 16)
    length = torch.export.Dim("length", min=1, max=backend.max_tokens)
    try:
        with quiet(*_LOGGERS), torch.no_grad():
            torch.onnx.export(
                TokensToVectors().eval(),
                tuple(torch.from_numpy(example.columns[name]) for name in names),
                str(file),
                input_names=names,
                output_names=["vectors"],
                dynamic_shapes={"columns": tuple({0: batch, 1: length} for _ in names)},
                dynamo=True,
                external_data=True,
                verbose=False,
            )
    except Exception as error:
        # The exporter's own message is advice to its developers; what it tripped over is below.
        reason = error.__cause__ or error
        raise EncoderError(
            f"The model cannot be exported ({type(reason).__name__}: "
            f"{str(reason).partition(chr(10))[0]}). Let MARKETPLACE_AI_BACKEND be 'torch'."
        ) from error
    return names


def _fast_tokenizer(backend: TorchBackend, directory: Path) -> Any:
    tokenizer = backend.model.tokenizer
    if not getattr(tokenizer, "is_fast", False):
        raise EncoderError(
            f"{directory} has no tokenizer.json, which an export needs: save the tokenizer anew "
            "with AutoTokenizer.from_pretrained(...).save_pretrained(...)."
        )
    return tokenizer
