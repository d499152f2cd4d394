"""The registry entries of the back ends that come with the app.

Nothing here imports torch or ONNX Runtime before a model is loaded.
"""

from __future__ import annotations

from functools import partial

from marketplace_ai.encoding.backend import Backend
from marketplace_ai.encoding.backend_registry import TORCH, BackendSpec, register
from marketplace_ai.encoding.onnx import loading as onnx
from marketplace_ai.encoding.sources import ModelPath


def _load_torch(model: ModelPath, *, dtype: str, **options: object) -> Backend:
    from marketplace_ai.encoding.sentence_transformer import TorchBackend

    return TorchBackend(model.path, links_within=model.links_within, dtype=dtype)


# First, since the others are compared with it.
register(BackendSpec(TORCH, load=_load_torch, uses_gpu=True))
register(
    BackendSpec(
        "onnx",
        load=partial(onnx.load, kind="float32"),
        load_if_best=onnx.load_if_best,
        find_problem=partial(onnx.find_problem, kind="float32"),
    )
)
register(
    BackendSpec(
        "onnx-int8",
        load=partial(onnx.load, kind="int8"),
        find_problem=partial(onnx.find_problem, kind="int8"),
        reference="onnx",
    )
)
