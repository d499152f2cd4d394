"""Export a sentence-transformers directory as an ONNX graph, and check it against torch.

The graph includes pooling, normalization and a truncated dimension; the tokenizer and the prompt
are stored next to it. An export that does not agree with torch is refused and never stored.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from marketplace_ai.encoding.atomic_dir import replace_dir
from marketplace_ai.encoding.batched_encoder import BatchedEncoder
from marketplace_ai.encoding.dtype import Device
from marketplace_ai.encoding.model_directory import settings_hash
from marketplace_ai.encoding.onnx import parity
from marketplace_ai.encoding.onnx.backend import OnnxBackend
from marketplace_ai.encoding.onnx.exported import (
    MODEL,
    TOKENIZER,
    ExportKind,
    Manifest,
    export_folder,
    model_hash,
)
from marketplace_ai.encoding.onnx.quantize import quantize
from marketplace_ai.encoding.optional_deps import quiet, require
from marketplace_ai.encoding.sentence_transformer import TorchBackend
from marketplace_ai.encoding.text_encoder import EncoderError

_PACKAGES = ("onnxruntime", "onnx", "onnxscript")
#: Loggers whose messages are for the developers of the exporter.
_LOGGERS = ("torch.onnx", "onnxscript", "root")
#: Padded tokens of a batch of probe texts: large, so that most of them are padded.
_PROBE_BUDGET = 1 << 15

#: Labeled texts, approximately, whose activations are measured for rounding noise.
_NOISE_SAMPLE_SIZE = 24
#: Labeled texts that int8 is measured on; all pairs of them are compared.
_MAX_LABELED_TEXTS = 4000

Say = Callable[[str], None]
#: (text, category) of each.
LabeledTexts = Sequence[tuple[str, str]]


def export(
    directory: Path,
    cache_dir: Path,
    *,
    labeled: LabeledTexts | None = None,
    links_within: Path | None = None,
    progress: Say = lambda line: None,
) -> dict[ExportKind, Manifest]:
    """Export in float32, and with ``labeled`` texts in int8 too, replacing earlier exports.

    The float32 export must agree with torch to a cosine of 0.999 on padded batches of mixed
    lengths. The int8 export may cost half a point of first choices on ``labeled``, compared with
    the same texts in float32, as exemplars are. Takes a minute or two, and memory of about four
    times the weights. Raises ``EncoderError`` if a package is missing, the model cannot be
    exported, or the parity check fails; then nothing has changed.
    """
    require(_PACKAGES, "An export", "onnx")
    if labeled is not None and len(labeled) < parity.MIN_LABELED_TEXTS:
        raise EncoderError(
            f"{len(labeled)} labeled texts cannot tell what int8 costs: "
            f"{parity.MIN_LABELED_TEXTS} are needed. Give more of them, or export without --int8."
        )
    progress("Loading the encoder …")
    torch_backend = TorchBackend(directory, links_within=links_within, device=Device("cpu"))
    reference = BatchedEncoder(torch_backend, str(directory))
    root = export_folder(cache_dir, torch_backend.weights_hash, "float32").parent
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".exporting-", dir=root) as name:
            building = Path(name)
            float32 = _export_float32(building / "float32", directory, reference, progress)
            manifests: dict[ExportKind, Manifest] = {"float32": float32}
            if labeled is not None:
                manifests["int8"] = _export_int8(building, float32, reference, labeled, progress)
            for kind in manifests:
                replace_dir(building / kind, root / kind)
    except OSError as error:
        raise EncoderError(
            f"The export cannot be written to {root}: {error}. Set MARKETPLACE_AI_CACHE_DIR to a "
            "folder with room for twice the weights."
        ) from error
    return manifests


def _export_float32(
    folder: Path, directory: Path, reference: BatchedEncoder, progress: Say
) -> Manifest:
    backend = reference.backend
    assert isinstance(backend, TorchBackend)  # noqa: S101 (export loads no other)
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
        pad_token_id=int(tokenizer.pad_token_id or 0),
        pads_left=tokenizer.padding_side == "left",
        truncates_left=tokenizer.truncation_side == "left",
        inputs=inputs,
        versions={name: version(name) for name in ("torch", *_PACKAGES)},
    )
    progress("Comparing it with torch …")
    exported = BatchedEncoder(OnnxBackend(folder, manifest), reference.source, _PROBE_BUDGET)
    cosine = parity.smallest_cosine(
        exported.encode(parity.PROBE_TEXTS), reference.encode(parity.PROBE_TEXTS)
    )
    # The comparison is false for NaN as well.
    if not cosine >= parity.MIN_COSINE_TO_TORCH:
        raise EncoderError(
            f"The export of {directory} is refused: on padded batches its vectors agree with "
            f"torch's to a cosine of {cosine:.4f} only, {parity.MIN_COSINE_TO_TORCH} is needed. "
            "This model cannot be exported; let MARKETPLACE_AI_BACKEND be 'torch'."
        )
    manifest.parity["smallest_cosine"] = cosine
    manifest.write(folder)
    return manifest


def _export_int8(
    building: Path,
    float32: Manifest,
    reference: BatchedEncoder,
    labeled: LabeledTexts,
    progress: Say,
) -> Manifest:
    progress("Quantizing …")
    folder = building / "int8"
    folder.mkdir()
    unrounded = BatchedEncoder(OnnxBackend(building / "float32", float32), reference.source)
    drawn = np.random.default_rng(0).permutation(len(labeled))[:_MAX_LABELED_TEXTS]
    texts, labels = [labeled[i][0] for i in drawn], [labeled[i][1] for i in drawn]
    with quiet(*_LOGGERS):
        kept_in_float32 = quantize(
            building / "float32" / MODEL,
            folder / MODEL,
            float32.inputs,
            unrounded.backend.tokenize(texts[:: len(texts) // _NOISE_SAMPLE_SIZE]),
        )
    shutil.copyfile(building / "float32" / TOKENIZER, folder / TOKENIZER)
    manifest = replace(float32, kind="int8", model_hash=model_hash(folder), parity={})
    rounded = BatchedEncoder(OnnxBackend(folder, manifest), reference.source)
    progress(f"Measuring what int8 costs on {len(texts):,} labeled texts …")
    before, after = unrounded.encode(texts), rounded.encode(texts)
    accuracy = parity.first_choice(before, before, labels)
    lost = 100 * (accuracy - parity.first_choice(after, before, labels))
    if not lost <= parity.MAX_POINTS_LOST:
        raise EncoderError(
            f"The int8 export is refused: on {len(texts)} labeled texts it costs {lost:.2f} "
            f"points of first choice; {parity.MAX_POINTS_LOST} is allowed. Export without --int8."
        )
    manifest.parity.update(
        kept_in_float32=kept_in_float32,
        rows=len(texts),
        first_choice_float32=accuracy,
        points_lost=lost,
        smallest_cosine=parity.smallest_cosine(after, before),
    )
    manifest.write(folder)
    return manifest


def write_graph(backend: TorchBackend, file: Path) -> list[str]:
    """Write the model, from tokens to unit vectors, as an ONNX graph; the names of its inputs.

    With ``torch.export``: tracing would fix whether the example was padded, and lose the mask.
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
        # The exporter's message is advice to its developers; the cause says what went wrong.
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
            f"{directory} has no tokenizer.json, which an export needs: save the tokenizer "
            "again with AutoTokenizer.from_pretrained(...).save_pretrained(...)."
        )
    return tokenizer
