"""Quantize a float32 graph to int8, except where that would cost too much."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketplace_ai.encoding.backend import ATTENTION_MASK, Tokens

#: Matrix products whose activations have more rounding noise than this in 8 bits, relative to their
#: size, stay in float32: a few rows of a feed-forward layer hold values a hundred times as large
#: as the others. These are three of the bundled encoder's 72 products; with them in int8 its
#: smallest cosine to float32 is 0.994 instead of 0.997.
MAX_ROUNDING_NOISE = 0.1


def quantize(source: Path, target: Path, inputs: Sequence[str], tokens: Tokens) -> list[str]:
    """Write ``target``; the names of the matrix products that stay in float32.

    Weights, including the word embeddings, have one scale for each channel; activations are
    rounded dynamically. ``tokens`` are sample texts, on which the rounding noise is measured.
    Weights use 7 of their 8 bits: without VNNI, sums of two products of full range overflow, and
    a parity check on one machine would not hold on another.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    noise = rounding_noise(source, inputs, tokens)
    kept_in_float32 = sorted(name for name, share in noise.items() if share > MAX_ROUNDING_NOISE)
    quantize_dynamic(
        source,
        target,
        op_types_to_quantize=["MatMul", "Gather"],
        nodes_to_exclude=kept_in_float32,
        per_channel=True,
        reduce_range=True,
        weight_type=QuantType.QInt8,
        use_external_data_format=True,
    )
    return kept_in_float32


def rounding_noise(source: Path, inputs: Sequence[str], tokens: Tokens) -> dict[str, float]:
    """The rounding noise of each product of an activation with a weight, by node: the root mean
    square of the error when the activation is rounded to 256 steps, relative to the activation's.
    """
    import onnx
    import onnxruntime

    model = onnx.load(source, load_external_data=False)
    weights = {weight.name for weight in model.graph.initializer}
    read_by = {
        node.name: node.input[0]
        for node in model.graph.node
        if node.op_type == "MatMul" and node.input[1] in weights
    }
    activations = list(dict.fromkeys(read_by.values()))
    # In the same directory, because it refers to the same file of weights.
    probe = source.with_name("activations.onnx")
    del model.graph.output[:]
    model.graph.output.extend(
        onnx.helper.make_empty_tensor_value_info(name) for name in activations
    )
    onnx.save(model, probe)
    try:
        session: Any = onnxruntime.InferenceSession(str(probe), providers=["CPUExecutionProvider"])
        values = session.run(activations, {name: tokens.columns[name] for name in inputs})
    finally:
        probe.unlink()
    is_token = tokens.columns[ATTENTION_MASK].astype(bool)
    noise = {name: _noise(value, is_token) for name, value in zip(activations, values, strict=True)}
    return {node: noise[activation] for node, activation in read_by.items()}


def _noise(values: NDArray[np.float32], is_token: NDArray[np.bool_]) -> float:
    """Padding counts for the range, as it does in ONNX Runtime, but not for the error."""
    step = (max(float(values.max()), 0.0) - min(float(values.min()), 0.0)) / 255
    read = values[is_token] if values.shape[:2] == is_token.shape else values
    return float(step / np.sqrt(12) / max(np.sqrt(np.square(read).mean()), 1e-12))
