"""The model card: the one that the library writes, with a section on the training."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from marketplace_ai.encoding.sources import BUNDLED, ModelPath
from marketplace_ai.training.data.training_data import TRIPLETS, TrainingData
from marketplace_ai.training.recipe import Recipe

#: The model that the bundled encoder is a copy of.
BUNDLED_BASE = "intfloat/multilingual-e5-small"
_NEXT_SECTION = "## Citation"
#: The largest distance of two unit vectors: no triplet reaches a margin this large.
_MAX_DISTANCE = 2.0


def set_base_model(model: Any, base: ModelPath) -> None:
    """Tell the library's model card what the base is, which it cannot know from a directory."""
    card = model.model_card_data
    # Postings and exemplars are encoded alike: there are no queries and documents.
    card.ir_model = False
    if base.source == BUNDLED:
        card.base_model = BUNDLED_BASE
    elif not Path(base.source).is_absolute():
        card.base_model = base.source


def public_name(source: str) -> str:
    """A source for publishing: of a path only the last part, since others see the card."""
    return Path(source).name if Path(source).is_absolute() else source


def add_training_section(
    card: str, source: str, data: TrainingData, recipe: Recipe, figures: dict[str, Any]
) -> str:
    """The library's card with a section on how the model was made, before the citations."""
    section = "\n".join(_section(source, data, recipe, figures))
    before, heading, after = card.partition(_NEXT_SECTION)
    if not heading:
        return f"{card}\n{section}\n"
    return f"{before.rstrip()}\n\n{section}\n\n{heading}{after}"


def _section(
    source: str, data: TrainingData, recipe: Recipe, figures: dict[str, Any]
) -> Iterator[str]:
    yield "## How It Was Made"
    yield ""
    yield f"By `train_encoder` from the base `{public_name(source)}`: {figures['steps']:,} steps."
    yield "The data sets take turns, a batch each, until the smallest is used up:"
    yield ""
    yield "| data set | rows | unused in an epoch |"
    yield "|:--|--:|--:|"
    for name, rows in data.sets.items():
        yield f"| {name} | {len(rows):,} | {figures['unused'][name]:,} |"
    yield ""
    if data.left_out:
        counts = ", ".join(f"{number:,} of {name}" for name, number in data.left_out.items())
        yield f"Left out, since they have one text twice: {counts}."
    yield from _remarks(data, recipe, figures)
    if figures["after"]:
        yield ""
        yield f"Held-out triplets ({len(data.test):,}) whose positive is nearer than the negative:"
        yield ""
        yield "| by | before | after |"
        yield "|:--|--:|--:|"
        for name, after in figures["after"].items():
            distance = name.removesuffix("_accuracy")
            yield f"| {distance} | {figures['before'][name]:.4f} | {after:.4f} |"


def _remarks(data: TrainingData, recipe: Recipe, figures: dict[str, Any]) -> Iterator[str]:
    """What the recipe means for the result, in sentences."""
    yield "A batch of pairs has each category once, so that there are no false negatives."
    if figures["embeddings_frozen"]:
        yield "The word embeddings are those of the base."
    if recipe.margin >= _MAX_DISTANCE and TRIPLETS in data.sets:
        yield (
            f"No triplet reaches the margin of {recipe.margin:g}: unit vectors are at most 2 "
            "apart, so every triplet contributes to the loss until the end."
        )
    if recipe.patience is not None and figures["after"]:
        yield (
            "The best of ten evaluations on the held-out triplets was kept, so their figures are "
            "optimistic."
        )
    if recipe.lora is not None:
        yield f"Adapters of rank {recipe.lora} were trained and merged into the weights."
    if recipe.interpolation_alpha < 1:
        yield (
            f"The weights are interpolated: {1 - recipe.interpolation_alpha:.0%} base and "
            f"{recipe.interpolation_alpha:.0%} fine-tuned (Wortsman et al., 2022)."
        )
