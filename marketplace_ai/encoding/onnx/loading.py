"""Load an exported encoder, or say what this machine lacks for it.

Nothing here imports torch or ONNX Runtime before a model is loaded.
"""

from __future__ import annotations

import logging
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from marketplace_ai.encoding.backend import Backend, Problem
from marketplace_ai.encoding.model_directory import check_directory
from marketplace_ai.encoding.onnx.exported import (
    ExportKind,
    Manifest,
    export_command,
    is_any_exported,
    read_export,
)
from marketplace_ai.encoding.text_encoder import EncoderError

if TYPE_CHECKING:
    from marketplace_ai.encoding.sources import ModelPath

logger = logging.getLogger(__name__)


def load(model: ModelPath, *, cache_dir: Path, dtype: str, kind: ExportKind) -> Backend:
    """The export of a model, whose numeric type is that of ``kind``, whatever ``dtype`` says.

    Raises ``EncoderError`` if ONNX Runtime or the export is missing, or the export is stale.
    """
    from marketplace_ai.encoding.onnx.backend import OnnxBackend

    folder, manifest = _read(model, cache_dir, kind)
    if kind != "float32":
        # Its reference, which is loaded only when the first exemplar has to be encoded: a worker
        # that would fail then must not start.
        _read(model, cache_dir, "float32")
    return OnnxBackend(folder, manifest)


def load_if_best(model: ModelPath, cache_dir: Path) -> Backend | None:
    """The float32 export of a model, if it has one and there is no GPU, on which torch is faster.

    Never int8, which is a little less exact: that is for a person to choose.
    """
    if find_problem(cache_dir, "float32"):
        return None
    from marketplace_ai.encoding.dtype import Device

    if Device.detect().kind == "cuda":
        return None
    try:
        folder, manifest = _read(model, cache_dir, "float32")
    except EncoderError as error:
        logger.info("The back end is torch: %s", error)
        return None
    from marketplace_ai.encoding.onnx.backend import OnnxBackend

    return OnnxBackend(folder, manifest)


def find_problem(cache_dir: Path, kind: ExportKind) -> Problem | None:
    """What is missing here before any model can be loaded: ONNX Runtime, or an export."""
    if find_spec("onnxruntime") is None:
        return Problem("onnxruntime is not installed", 'pip install "marketplace-ai[onnx]"')
    if not is_any_exported(cache_dir, kind):
        return Problem(
            f"no encoder was exported for it into {cache_dir}", f"manage.py {export_command(kind)}"
        )
    return None


def _read(model: ModelPath, cache_dir: Path, kind: ExportKind) -> tuple[Path, Manifest]:
    check_directory(model.path, links_within=model.links_within)
    return read_export(model.path, cache_dir, kind)
