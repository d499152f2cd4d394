"""Memory and time of training bge-m3 on one GPU of 80 GB, calculated from its architecture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marketplace_ai.training.data.training_data import PAIRS
from marketplace_ai.training.recipe import Recipe

#: bge-m3 is an XLM-RoBERTa large (Conneau et al., 2020): its model card and config.json.
NUM_LAYERS, HIDDEN, FEED_FORWARD, VOCABULARY, POSITIONS = 24, 1024, 4096, 250_002, 8194
#: Activations that one layer keeps for the backward pass: bytes per token, by ``Recipe.bf16``.
#: Measured with torch 2.13 and transformers 5.24: ``saved_tensors_hooks`` around a forward pass
#: of two layers and of one, the difference by token; weights not counted.
ACTIVATION_BYTES = {False: 86_032, True: 63_504}
#: The GPU: an A100 of 80 GB, whose data sheet gives 312 TFLOP/s in bfloat16 and 156 in TF32.
#: A third is what fine-tuning of such a model commonly reaches; it was not measured here.
GPU_BYTES, GPU_FLOPS, UTILIZATION = 80e9, {True: 312e12, False: 156e12}, 0.33


@dataclass(frozen=True)
class BatchTokens:
    """Tokens of a batch with padding, over all its columns: mean and largest."""

    mean: float
    largest: float


def bge_m3_estimate(
    steps: int, tokens: Mapping[str, BatchTokens], recipe: Recipe
) -> dict[str, Any]:
    """Bytes of the largest batch, and seconds of ``steps`` in round robin over the data sets."""
    layer = 4 * HIDDEN * HIDDEN + 2 * HIDDEN * FEED_FORWARD + 9 * HIDDEN + FEED_FORWARD
    parameters = NUM_LAYERS * layer + (VOCABULARY + POSITIONS) * HIDDEN
    trained = parameters - (VOCABULARY * HIDDEN if recipe.embeddings == "freeze" else 0)
    if recipe.lora is not None:
        trained = NUM_LAYERS * recipe.lora * (4 * 2 * HIDDEN + 2 * (HIDDEN + FEED_FORWARD))
    # Float32 weights; of the trained ones also the gradient and both moments of Adam.
    state = 4 * parameters + 12 * trained + (2 * parameters if recipe.bf16 else 0)
    activations = _activation_bytes(tokens, recipe)
    mean_tokens = sum(batch.mean for batch in tokens.values()) / len(tokens)
    # A forward pass, a backward pass of twice the cost, and one forward pass to recompute.
    recomputes = recipe.gradient_checkpointing or recipe.gradcache_mini_batch_size
    flops = 2 * (4 if recomputes else 3) * NUM_LAYERS * layer * mean_tokens
    return {
        "parameters": parameters,
        "trained": trained,
        "bytes_a_token_and_layer": ACTIVATION_BYTES[recipe.bf16],
        "state_bytes": round(state),
        "activation_bytes": round(activations),
        "bytes": round(state + activations),
        "fits_80_gb": state + activations < 0.9 * GPU_BYTES,
        "seconds": round(steps * flops / (UTILIZATION * GPU_FLOPS[recipe.bf16])),
    }


def _activation_bytes(tokens: Mapping[str, BatchTokens], recipe: Recipe) -> float:
    # Only the ranking loss takes its batch in parts.
    part = {}
    if recipe.gradcache_mini_batch_size:
        part[PAIRS] = recipe.gradcache_mini_batch_size / recipe.batch_size
    at_once = max(batch.largest * part.get(name, 1) for name, batch in tokens.items())
    layer_bytes = ACTIVATION_BYTES[recipe.bf16]
    if recipe.gradient_checkpointing:  # the input of each layer, and one layer recomputed
        return at_once * (layer_bytes + NUM_LAYERS * HIDDEN * 4)
    return at_once * layer_bytes * NUM_LAYERS
