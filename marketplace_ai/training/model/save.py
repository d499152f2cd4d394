"""The finished directory: model, card and what it was made of, put in place as a whole."""

from __future__ import annotations

import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from marketplace_ai.encoding.atomic_dir import replace_dir
from marketplace_ai.encoding.sources import ModelPath
from marketplace_ai.encoding.model_directory import check_directory, weights_hash
from marketplace_ai.training.data.loading import Data
from marketplace_ai.training.recipe import Recipe

from . import training_metadata
from .model_card import complete, public_name

CARD = "README.md"
_VERSIONS = ("sentence-transformers", "transformers", "torch", "accelerate", "datasets")


def save(
    model: Any, found: ModelPath, data: Data, recipe: Recipe, figures: dict[str, Any], output: Path
) -> None:
    """Write the directory beside ``output``, look at it as any encoder's is looked at, and put it
    in the place of what is there. OSError where the disk is full; then nothing has changed."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as name:
        built = Path(name) / output.name
        model.model_card_data.set_model_id(output.name)
        model.save_pretrained(str(built), safe_serialization=True)
        card = built / CARD
        card.write_text(
            complete(card.read_text(encoding="utf-8"), found.source, data, recipe, figures),
            encoding="utf-8",
        )
        about = {
            "base": {"source": public_name(found.source), "weights": weights_hash(found.path)},
            "data": data.fingerprint,
            "recipe": recipe.as_dict(),
            "figures": figures,
            "weights": weights_hash(built),
            "versions": {package: version(package) for package in _VERSIONS},
        }
        training_metadata.write(built, about)
        check_directory(built)
        replace_dir(built, output)
