"""What a training takes, for ``train_encoder --dry-run``: steps, memory and time.

The given base is timed on this machine with one step of each data set. For bge-m3 on a GPU of
80 GB see ``bge_m3_estimate``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from typing import Any

from marketplace_ai.encoding.dtype import Device
from marketplace_ai.encoding.sources import ModelPath
from marketplace_ai.training.data.training_data import TrainingData, plan_epoch
from marketplace_ai.training.model.base_model import (
    freezes_embeddings,
    load_base,
    truncate_texts,
)
from marketplace_ai.training.model.losses import losses_by_set
from marketplace_ai.training.recipe import Recipe

from .bge_m3_estimate import BatchTokens, bge_m3_estimate
from .quiet import quiet_libraries

GB = 1e9
#: Rows whose lengths are counted.
_SAMPLE_SIZE = 2048


def estimate_training(base: ModelPath, data: TrainingData, recipe: Recipe) -> dict[str, Any]:
    """The steps of a training, and its cost ``here`` and for ``bge_m3``, as ``--json`` shows it."""
    device = Device.detect().kind
    steps = math.ceil(plan_epoch(data, recipe.batch_size).steps * recipe.epochs)
    with quiet_libraries():
        model = load_base(base, recipe, device)
        with truncate_texts(model, recipe.max_tokens):
            tokens = {
                name: _batch_tokens(model, rows, recipe.batch_size)
                for name, rows in data.sets.items()
            }
            seconds = _step_seconds(model, data, recipe)
    return {
        "steps": steps,
        "tokens_a_batch": {name: round(batch.mean) for name, batch in tokens.items()},
        "here": {
            "base": base.source,
            "device": device,
            "parameters": sum(p.numel() for p in model.parameters()),
            "trained": sum(p.numel() for p in model.parameters() if p.requires_grad),
            "embeddings_frozen": freezes_embeddings(recipe, device),
            "step_seconds": round(seconds, 3),
            "seconds": round(seconds * steps),
        },
        "bge_m3": bge_m3_estimate(steps, tokens, recipe),
    }


def estimate_lines(estimate: dict[str, Any]) -> Iterator[str]:
    """The estimate as text."""
    here, large = estimate["here"], estimate["bge_m3"]
    yield f"{estimate['steps']:,} steps. Tokens per batch, with padding: " + ", ".join(
        f"{name} {tokens:,}" for name, tokens in estimate["tokens_a_batch"].items()
    )
    frozen = ", word embeddings frozen" if here["embeddings_frozen"] else ""
    yield (
        f"{here['base']} on this machine ({here['device']}): {here['trained'] / 1e6:,.0f} of "
        f"{here['parameters'] / 1e6:,.0f} million weights trained{frozen}; "
        f"{here['step_seconds']:.2f} s per step, about {_duration(here['seconds'])} in total."
    )
    yield (
        f"BAAI/bge-m3 on a GPU of 80 GB: {large['bytes'] / GB:,.1f} GB "
        f"({large['state_bytes'] / GB:,.1f} for weights, gradients and optimizer, "
        f"{large['activation_bytes'] / GB:,.1f} for activations), about "
        f"{_duration(large['seconds'])} at a third of an A100's peak (assumed, not measured)."
    )
    if not large["fits_80_gb"]:
        yield (
            "That does not fit: lower --batch-size or --max-tokens, or add --bf16 or "
            "--gradient-checkpointing; --gradcache-mini-batch-size helps if pairs are the largest."
        )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _batch_tokens(model: Any, rows: Sequence[Any], batch_size: int) -> BatchTokens:
    sizes = []
    for start in range(0, min(len(rows), _SAMPLE_SIZE), batch_size):
        columns = _features(model, rows[start : min(start + batch_size, _SAMPLE_SIZE)])
        sizes.append(sum(column["input_ids"].numel() for column in columns))
    return BatchTokens(sum(sizes) / len(sizes), max(sizes))


def _step_seconds(model: Any, data: TrainingData, recipe: Recipe) -> float:
    """Seconds per step: the mean over the data sets, each timed after one step of warm-up."""
    import torch

    losses = losses_by_set(model, recipe, list(data.sets))
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.0)

    def step(name: str, rows: Sequence[Any]) -> float:
        start = time.perf_counter()
        labels = torch.tensor([getattr(row, "score", 0.0) for row in rows], device=model.device)
        loss = losses[name](_features(model, rows), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        float(loss)  # waits for the device
        return time.perf_counter() - start

    seconds = []
    for name, rows in data.sets.items():
        batch = rows[: recipe.batch_size]
        step(name, batch)
        seconds.append(step(name, batch))
    return sum(seconds) / len(seconds)


def _features(model: Any, rows: Sequence[Any]) -> list[dict[str, Any]]:
    """The model's input for each text column of the rows, on its device."""
    prompt = model.prompts.get(model.default_prompt_name or "", "")
    columns = [name for name in rows[0]._fields if name not in ("category", "score")]
    return [
        {
            key: value.to(model.device) if hasattr(value, "to") else value
            for key, value in model.preprocess(
                [getattr(row, column) for row in rows], prompt=prompt
            ).items()
        }
        for column in columns
    ]
