"""The directory of an exported encoder: where it is, what it holds, whether it is still valid.

Nothing here imports torch or ONNX Runtime.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from marketplace_ai.encoding.model_directory import settings_hash, weights_hash
from marketplace_ai.encoding.text_encoder import EncoderError

ExportKind = Literal["float32", "int8"]
#: Incremented whenever an older export would be read wrongly.
FORMAT = 2
MODEL, TOKENIZER, MANIFEST = "model.onnx", "tokenizer.json", "export.json"


@dataclass(frozen=True)
class Manifest:
    """What an export was made from, what its graph takes, and how it compared with torch.

    ``prompt`` is put before every text. ``inputs`` are the names of the graph's inputs, in
    order. ``pad_token_id`` fills short texts, on the left if ``pads_left``; ``truncates_left``
    says which end of a long text is cut off. ``parity`` holds the results of the parity check.
    """

    kind: ExportKind
    source_weights: str
    source_settings: str
    model_hash: str
    dimension: int
    max_tokens: int
    prompt: str
    prompts: dict[str, str]
    special_tokens: list[str]
    pad_token_id: int
    pads_left: bool
    truncates_left: bool
    inputs: list[str]
    parity: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT

    def write(self, folder: Path) -> None:
        text = json.dumps(asdict(self), indent=1, ensure_ascii=False)
        (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def export_folder(cache_dir: Path, source_weights: str, kind: ExportKind) -> Path:
    """Where the export of these weights is kept. It is named after their hash, so that it can be
    copied from one machine's cache to another's."""
    return cache_dir.expanduser().absolute() / "onnx" / source_weights[:16] / kind


def export_command(kind: ExportKind) -> str:
    """The command that makes an export of that kind, without ``manage.py``."""
    return "export_encoder --int8" if kind == "int8" else "export_encoder"


def is_any_exported(cache_dir: Path, kind: ExportKind) -> bool:
    """Whether any encoder has an export of this kind."""
    return any((cache_dir.expanduser() / "onnx").glob(f"*/{kind}/{MANIFEST}"))


def model_hash(folder: Path) -> str:
    """SHA-256 (hex) of the graph, its external weights and the tokenizer."""
    total = sha256()
    for file in [*sorted(folder.glob(f"{MODEL}*")), folder / TOKENIZER]:
        total.update(f"{file.name}\0{file.stat().st_size}\0".encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                total.update(block)
    return total.hexdigest()


def read_export(directory: Path, cache_dir: Path, kind: ExportKind) -> tuple[Path, Manifest]:
    """The export of a sentence-transformers directory in its present state.

    Raises ``EncoderError`` if there is none, if it was made from other files than ``directory``
    has now, or if its own files have changed since the parity check.
    """
    weights = weights_hash(directory)
    folder = export_folder(cache_dir, weights, kind)
    cure = f"Run manage.py {export_command(kind)}"
    if not (folder / MANIFEST).is_file():
        raise EncoderError(
            f"There is no {kind} export of {directory} in {folder}. {cure}, or set "
            "MARKETPLACE_AI_BACKEND to 'torch'."
        )
    manifest = _read_manifest(folder, cure)
    if (manifest.source_weights, manifest.source_settings) != (weights, settings_hash(directory)):
        raise EncoderError(
            f"The export in {folder} is stale: it was made of other weights, prompts or settings "
            f"than {directory} has now. {cure}."
        )
    if manifest.kind != kind or manifest.model_hash != model_hash(folder):
        raise EncoderError(f"The export in {folder} is damaged or was changed. {cure}.")
    return folder, manifest


def _read_manifest(folder: Path, cure: str) -> Manifest:
    try:
        content: Mapping[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if content.get("format") != FORMAT:
            raise EncoderError(f"The export in {folder} is of another version of the app. {cure}.")
        return Manifest(**content)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise EncoderError(f"{folder / MANIFEST} cannot be read ({error}). {cure}.") from error
