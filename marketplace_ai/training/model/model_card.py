"""The model card: what the library writes about a training, and what only we know."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from marketplace_ai.encoding.sources import BUNDLED, ModelPath
from marketplace_ai.training.data.loading import TRIPLETS, Data
from marketplace_ai.training.recipe import Recipe

#: What the bundled encoder is made of.
BUNDLED_BASE = "intfloat/multilingual-e5-small"
_BEFORE = "## Citation"
#: Of two unit vectors, so a margin from here on never closes.
_FARTHEST = 2.0


def prepare(model: Any, found: ModelPath) -> None:
    """What the library's card is to say of a base that was loaded from a directory."""
    data = model.model_card_data
    # Postings and exemplars are encoded alike: there are no queries and documents.
    data.ir_model = False
    if found.source == BUNDLED:
        data.base_model = BUNDLED_BASE
    elif not Path(found.source).is_absolute():
        data.base_model = found.source


def public_name(source: str) -> str:
    """A directory or file by its name alone: a card is passed on, and paths are nobody else's."""
    return Path(source).name if Path(source).is_absolute() else source


def complete(card: str, source: str, data: Data, recipe: Recipe, figures: dict[str, Any]) -> str:
    """The library's card with a section on how it was made, in front of the citations."""
    section = "\n".join(_section(source, data, recipe, figures))
    before, found, after = card.partition(_BEFORE)
    return f"{before.rstrip()}\n\n{section}\n\n{found}{after}" if found else f"{card}\n{section}\n"


def _section(source: str, data: Data, recipe: Recipe, figures: dict[str, Any]) -> Iterator[str]:
    yield "## How It Was Made"
    yield ""
    yield f"By `train_encoder` on the base `{public_name(source)}`: {figures['steps']:,} steps."
    yield "A batch of each data set by turns, until the smallest is used up:"
    yield ""
    yield "| data set | rows | unused in an epoch |"
    yield "|:--|--:|--:|"
    for name, rows in data.sets.items():
        yield f"| {name} | {len(rows):,} | {figures['unused'][name]:,} |"
    yield ""
    yield "In a batch of pairs each category comes once, so that no negative is a false one."
    if figures["embeddings_frozen"]:
        yield "The table of word embeddings was left as it was in the base."
    if recipe.margin >= _FARTHEST and TRIPLETS in data.sets:
        yield (
            f"The triplets' margin of {recipe.margin:g} never closes on unit vectors, which are at "
            "most 2 apart: every triplet pulls and pushes to the end."
        )
    if recipe.patience is not None and figures["after"]:
        yield "Of ten evaluations on the held-out triplets the best was kept, so these flatter it."
    if recipe.lora is not None:
        yield f"Adapters of rank {recipe.lora} were trained and worked into the weights."
    if recipe.blend < 1:
        yield (
            f"Each weight lies {recipe.blend:.0%} of the way from the base's to where training "
            "took it (Wortsman et al., 2022)."
        )
    if figures["after"]:
        yield ""
        yield f"Held-out triplets ({len(data.test):,}), positive nearer than negative:"
        yield ""
        yield "| by | before | after |"
        yield "|:--|--:|--:|"
        for name, after in figures["after"].items():
            shown = name.removesuffix("_accuracy")
            yield f"| {shown} | {figures['before'][name]:.4f} | {after:.4f} |"
