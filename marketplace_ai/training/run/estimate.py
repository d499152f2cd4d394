"""What a training takes, before it is begun: steps, memory, time.

Of the base at hand by doing one step of each data set; of bge-m3 on a GPU of 80 GB by what its
layers keep for the way back, measured on one of them, and by counting operations.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from marketplace_ai.encoding.dtype import Device
from marketplace_ai.encoding.sources import ModelPath
from marketplace_ai.training.data.loading import PAIRS, Data, plan
from marketplace_ai.training.recipe import Recipe

GB = 1e9
#: bge-m3 is an XLM-RoBERTa large (Conneau et al., 2020): its card and config.json.
LAYERS, HIDDEN, FEED_FORWARD, HEADS, WORDS, POSITIONS = 24, 1024, 4096, 16, 250_002, 8194
#: The GPU: an A100 of 80 GB, whose data sheet gives 312 TFLOP/s in bfloat16 and 156 in TF32.
#: A third of it is what fine-tuning of such a model commonly reaches; nothing here measured it.
GPU_BYTES, GPU_FLOPS, REACHED = 80e9, {True: 312e12, False: 156e12}, 0.33
#: Rows that are looked at to know how long texts are.
_LOOKED_AT = 2048


@dataclass(frozen=True)
class Batch:
    """Padded tokens of a batch, all its columns together: in the mean, and of the largest."""

    tokens: float
    largest: float


def estimate(found: ModelPath, data: Data, recipe: Recipe) -> dict[str, Any]:
    """``here``: the base on this machine; ``bge_m3``: that model on one GPU of 80 GB."""
    from marketplace_ai.training.model.base_model import cut, freezes_embeddings, load_base
    from marketplace_ai.training.model.losses import losses
    from marketplace_ai.training.train import quiet

    device = Device.detect().kind
    steps = math.ceil(plan(data, recipe.batch_size).steps * recipe.epochs)
    with quiet():
        model = load_base(found, recipe, device)
        with cut(model, recipe.max_tokens):
            batches = {name: _lengths(model, rows, recipe) for name, rows in data.sets.items()}
            seconds = _step_seconds(model, losses(model, recipe, list(data.sets)), data, recipe)
        trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
        whole = sum(p.numel() for p in model.parameters())
    return {
        "steps": steps,
        "tokens_a_batch": {name: round(batch.tokens) for name, batch in batches.items()},
        "here": {
            "base": found.source,
            "device": device,
            "parameters": whole,
            "trained": trained,
            "embeddings_frozen": freezes_embeddings(recipe, device),
            "step_seconds": round(seconds, 3),
            "seconds": round(seconds * steps),
        },
        "bge_m3": bge_m3(steps, batches, recipe),
    }


def bge_m3(steps: int, batches: Mapping[str, Batch], recipe: Recipe) -> dict[str, Any]:
    """Memory (bytes), by the largest batch of all, and time (seconds) of ``steps`` that take the
    data sets by turns."""
    tokens = sum(batch.tokens for batch in batches.values()) / len(batches)
    # Of the three losses the ranking loss alone takes its batch in parts.
    part = {PAIRS: recipe.cached / recipe.batch_size} if recipe.cached else {}
    at_once = max(batch.largest * part.get(name, 1) for name, batch in batches.items())
    layer = 4 * HIDDEN * HIDDEN + 2 * HIDDEN * FEED_FORWARD + 9 * HIDDEN + FEED_FORWARD
    table = (WORDS + POSITIONS) * HIDDEN
    whole = LAYERS * layer + table
    trained = whole - (WORDS * HIDDEN if recipe.embeddings == "freeze" else 0)
    if recipe.lora is not None:
        trained = LAYERS * recipe.lora * (4 * 2 * HIDDEN + 2 * (HIDDEN + FEED_FORWARD))
    kept = layer_bytes(bf16=recipe.bf16)
    layers = 1 + LAYERS * HIDDEN * 4 / kept if recipe.gradient_checkpointing else LAYERS
    activations = at_once * kept * layers
    # Weights, and of what is trained its gradient and both moments of Adam; all in float32.
    state = 4 * whole + 12 * trained + (2 * whole if recipe.bf16 else 0)
    # A pass, and twice that back; once more forward where it is computed again.
    passes = 3 + (1 if recipe.gradient_checkpointing or recipe.cached else 0)
    flops = 2 * passes * LAYERS * layer * tokens
    return {
        "parameters": whole,
        "trained": trained,
        "bytes_a_token_and_layer": round(kept),
        "state_bytes": round(state),
        "activation_bytes": round(activations),
        "bytes": round(state + activations),
        "fits_80_gb": state + activations < 0.9 * GPU_BYTES,
        "seconds": round(steps * flops / (REACHED * GPU_FLOPS[recipe.bf16])),
    }


def layer_bytes(*, bf16: bool) -> float:
    """Bytes that one layer keeps for the way back, a token; measured on a random one."""
    import torch
    from transformers import XLMRobertaConfig
    from transformers.models.xlm_roberta.modeling_xlm_roberta import XLMRobertaModel

    rows, length = 3, 64
    sizes: dict[str, Any] = {
        "vocab_size": 8, "hidden_size": HIDDEN, "intermediate_size": FEED_FORWARD,
        "num_attention_heads": HEADS, "max_position_embeddings": length + 2,
    }  # fmt: skip

    def kept(layers: int) -> int:
        model = XLMRobertaModel(
            XLMRobertaConfig(num_hidden_layers=layers, **sizes), add_pooling_layer=False
        ).train()
        weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
        # In bfloat16 each has a copy, which all tokens share.
        sizes_of_weights = {p.numel() for p in model.parameters() if p.ndim == 2}
        seen: dict[int, int] = {}

        def pack(tensor: Any) -> Any:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in weights and tensor.numel() not in sizes_of_weights:
                seen[storage.data_ptr()] = storage.nbytes()
            return tensor

        with (
            torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
            torch.autocast("cpu", torch.bfloat16, enabled=bf16),
        ):
            found = model(torch.ones(rows, length, dtype=torch.long)).last_hidden_state
        total = sum(seen.values())
        del found
        return total

    # The difference: what the embeddings keep is no layer's.
    return (kept(2) - kept(1)) / (rows * length)


def lines(found: dict[str, Any]) -> Iterator[str]:
    """The same for people."""
    here, large = found["here"], found["bge_m3"]
    yield f"{found['steps']:,} steps; padded tokens a batch: " + ", ".join(
        f"{name} {tokens:,}" for name, tokens in found["tokens_a_batch"].items()
    )
    frozen = ", word embeddings frozen" if here["embeddings_frozen"] else ""
    yield (
        f"{here['base']} on this machine ({here['device']}): {here['trained'] / 1e6:,.0f} of "
        f"{here['parameters'] / 1e6:,.0f} million weights trained{frozen}; a step took "
        f"{here['step_seconds']:.2f} s, so all take about {_duration(here['seconds'])}."
    )
    unit = f"{large['bytes_a_token_and_layer'] / 1e3:,.0f} kB a token and layer, measured"
    yield (
        f"BAAI/bge-m3 on a GPU of 80 GB: {large['bytes'] / GB:,.1f} GB "
        f"({large['state_bytes'] / GB:,.1f} for weights, gradients and optimizer, "
        f"{large['activation_bytes'] / GB:,.1f} for what is kept for the way back: {unit}); about "
        f"{_duration(large['seconds'])} at a third of an A100's peak (assumed, not measured)."
    )
    if not large["fits_80_gb"]:
        yield (
            "That does not fit: lower --batch-size or --max-tokens, or add --bf16 or "
            "--gradient-checkpointing; --cached helps where pairs are the largest."
        )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _lengths(model: Any, rows: Sequence[Any], recipe: Recipe) -> Batch:
    some = rows[:_LOOKED_AT]
    fields = [name for name in some[0]._fields if name not in ("category", "score")]
    prompt = model.prompts.get(model.default_prompt_name or "", "")
    found = []
    for start in range(0, len(some), recipe.batch_size):
        tokens = 0
        for name in fields:
            texts = [getattr(row, name) for row in some[start : start + recipe.batch_size]]
            count, longest = model.preprocess(texts, prompt=prompt)["input_ids"].shape
            tokens += count * longest
        found.append(tokens)
    return Batch(sum(found) / len(found), max(found))


def _step_seconds(model: Any, made: dict[str, Any], data: Data, recipe: Recipe) -> float:
    """Seconds of a step, the mean over the data sets, a warm-up of each before."""
    import torch

    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.0)
    prompt = model.prompts.get(model.default_prompt_name or "", "")
    spent = 0.0
    for name, rows in data.sets.items():
        some = rows[: recipe.batch_size]
        fields = [field for field in some[0]._fields if field not in ("category", "score")]
        for timed in (False, True):
            start = time.perf_counter()
            features = [
                {
                    key: value.to(model.device) if hasattr(value, "to") else value
                    for key, value in model.preprocess(
                        [getattr(row, field) for row in some], prompt=prompt
                    ).items()
                }
                for field in fields
            ]
            labels = torch.tensor([getattr(row, "score", 0.0) for row in some], device=model.device)
            loss = made[name](features, labels)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            float(loss)  # waits for the device
            spent += (time.perf_counter() - start) * timed
    return spent / len(data.sets)
