"""A float32 graph with its weights in int8, but where that would cost too much."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketplace_ai.encoding.backend import MASK, Tokens

#: Products of activations that lose more than this share of their size when they are rounded to
#: 8 bits stay in float32. A few rows of a feed-forward layer hold values a hundred times as large
#: as the others. Of the embedded encoder's 72 products these are three; with them in int8 its
#: smallest cosine to float32 is 0.994 instead of 0.997.
MOST_NOISE = 0.1


def quantize(source: Path, target: Path, inputs: Sequence[str], tokens: Tokens) -> list[str]:
    """Write ``target``; the names of the products that stay in float32.

    Weights have a scale a channel, the table of words included; activations are rounded as they
    come. ``tokens`` are of texts whose activations tell what that costs. Weights use 7 of their
    8 bits: without VNNI, sums of two products of full range overflow, and what was proven on one
    machine would not hold on another.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    noise = rounding_noise(source, inputs, tokens)
    kept = sorted(name for name, share in noise.items() if share > MOST_NOISE)
    quantize_dynamic(
        source,
        target,
        op_types_to_quantize=["MatMul", "Gather"],
        nodes_to_exclude=kept,
        per_channel=True,
        reduce_range=True,
        weight_type=QuantType.QInt8,
        use_external_data_format=True,
    )
    return kept


def rounding_noise(source: Path, inputs: Sequence[str], tokens: Tokens) -> dict[str, float]:
    """Of each product of an activation with a weight: the root mean square of the error when the
    activation is rounded to 256 steps, by that of the activation."""
    import onnx
    import onnxruntime

    model = onnx.load(source, load_external_data=False)
    weights = {weight.name for weight in model.graph.initializer}
    read_by = {
        node.name: node.input[0]
        for node in model.graph.node
        if node.op_type == "MatMul" and node.input[1] in weights
    }
    seen = list(dict.fromkeys(read_by.values()))
    watched = source.with_name("watched.onnx")  # beside the weights that it shares
    del model.graph.output[:]
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in seen)
    onnx.save(model, watched)
    try:
        session: Any = onnxruntime.InferenceSession(
            str(watched), providers=["CPUExecutionProvider"]
        )
        values = session.run(seen, {name: tokens.columns[name] for name in inputs})
    finally:
        watched.unlink()
    there = tokens.columns[MASK].astype(bool)
    found = {name: _noise(value, there) for name, value in zip(seen, values, strict=True)}
    return {node: found[activation] for node, activation in read_by.items()}


def _noise(values: NDArray[np.float32], there: NDArray[np.bool_]) -> float:
    """Padding takes part in the range, but nobody reads what becomes of it."""
    step = (max(float(values.max()), 0.0) - min(float(values.min()), 0.0)) / 255
    read = values[there] if values.shape[:2] == there.shape else values
    return float(step / np.sqrt(12) / max(np.sqrt(np.square(read).mean()), 1e-12))
