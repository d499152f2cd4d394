"""Saving the fine-tuned model: weights, model card and training metadata in one directory."""

from __future__ import annotations

import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from marketplace_ai.encoding.atomic_dir import replace_dir
from marketplace_ai.encoding.model_directory import check_directory, weights_hash
from marketplace_ai.encoding.sources import ModelPath
from marketplace_ai.training.data.training_data import TrainingData
from marketplace_ai.training.recipe import Recipe

from . import training_metadata
from .model_card import add_training_section, public_name

MODEL_CARD = "README.md"
_PACKAGES = ("sentence-transformers", "transformers", "torch", "accelerate", "datasets")


def save_trained(
    model: Any,
    base: ModelPath,
    data: TrainingData,
    recipe: Recipe,
    figures: dict[str, Any],
    output: Path,
) -> None:
    """Write and check a directory next to ``output``, then replace ``output`` with it.

    Raises OSError if the disk is full; then ``output`` is unchanged.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as parent:
        directory = Path(parent) / output.name
        model.model_card_data.set_model_id(output.name)
        model.save_pretrained(str(directory), safe_serialization=True)
        card = directory / MODEL_CARD
        text = add_training_section(
            card.read_text(encoding="utf-8"), base.source, data, recipe, figures
        )
        card.write_text(text, encoding="utf-8")
        metadata = {
            "base": {"source": public_name(base.source), "weights": weights_hash(base.path)},
            "data": data.fingerprint,
            "recipe": recipe.as_dict(),
            "figures": figures,
            "weights": weights_hash(directory),
            "versions": {package: version(package) for package in _PACKAGES},
        }
        training_metadata.write(directory, metadata)
        check_directory(directory)
        replace_dir(directory, output)
