"""The folder of an exported encoder: where it is, what is in it, and whether it is to be used.

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

Kind = Literal["float32", "int8"]
#: Counted up whenever an older export would be read wrongly.
FORMAT = 1
MODEL, TOKENIZER, MANIFEST = "model.onnx", "tokenizer.json", "export.json"


@dataclass(frozen=True)
class Manifest:
    """What an export was made of, how it is to be fed, and what was proven of it.

    ``padding`` is the id of the padding token; ``left`` says that padding comes first.
    ``prompt`` stands before every text; ``inputs`` are the graph's, in order.
    """

    kind: Kind
    source_weights: str
    source_settings: str
    model_hash: str
    dimension: int
    max_tokens: int
    prompt: str
    prompts: dict[str, str]
    special_tokens: list[str]
    padding: int
    left: bool
    truncate_left: bool
    inputs: list[str]
    proof: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT

    def write(self, folder: Path) -> None:
        text = json.dumps(asdict(self), indent=1, ensure_ascii=False)
        (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def export_folder(cache_dir: Path, source_weights: str, kind: Kind) -> Path:
    """Where the export of these weights is kept; named by them, so that it can be copied from one
    machine's cache to another's."""
    return cache_dir.expanduser().absolute() / "onnx" / source_weights[:16] / kind


def is_any_exported(cache_dir: Path, kind: Kind) -> bool:
    """Whether there is an export of this kind, of whatever encoder."""
    return any((cache_dir.expanduser() / "onnx").glob(f"*/{kind}/{MANIFEST}"))


def model_hash(folder: Path) -> str:
    """SHA-256 (hex) of the graph, of the weights beside it, and of the tokenizer."""
    total = sha256()
    for file in [*sorted(folder.glob(f"{MODEL}*")), folder / TOKENIZER]:
        total.update(f"{file.name}\0{file.stat().st_size}\0".encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                total.update(block)
    return total.hexdigest()


def read_export(directory: Path, cache_dir: Path, kind: Kind) -> tuple[Path, Manifest]:
    """The export of a sentence-transformers directory as it is now.

    Raises ``EncoderError`` where there is none, where it was made of other files than lie in
    ``directory``, or where its own files are not those that were proven.
    """
    weights = weights_hash(directory)
    folder = export_folder(cache_dir, weights, kind)
    again = f"Run manage.py export_encoder{' --int8' if kind == 'int8' else ''}"
    if not (folder / MANIFEST).is_file():
        raise EncoderError(
            f"There is no {kind} export of {directory} in {folder}. {again}, or set "
            "MARKETPLACE_AI_BACKEND to 'torch'."
        )
    manifest = _read_manifest(folder, again)
    if (manifest.source_weights, manifest.source_settings) != (weights, settings_hash(directory)):
        raise EncoderError(
            f"The export in {folder} is stale: it was made of other weights, prompts or settings "
            f"than {directory} has now. {again}."
        )
    if manifest.kind != kind or manifest.model_hash != model_hash(folder):
        raise EncoderError(f"The export in {folder} is damaged or was changed. {again}.")
    return folder, manifest


def _read_manifest(folder: Path, again: str) -> Manifest:
    try:
        content: Mapping[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if content.get("format") != FORMAT:
            raise EncoderError(f"The export in {folder} is of another version of the app. {again}.")
        return Manifest(**content)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise EncoderError(f"{folder / MANIFEST} cannot be read ({error}). {again}.") from error
