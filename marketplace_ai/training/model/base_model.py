"""The model that training begins with, and what of it is trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marketplace_ai.encoding.dtype import DtypePlan
from marketplace_ai.encoding.model_directory import check_directory
from marketplace_ai.encoding.sentence_transformer import load_model
from marketplace_ai.encoding.text_encoder import EncoderError
from marketplace_ai.training.recipe import POSITIVE_PROMPT, Recipe

from .length_buckets import by_length

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from marketplace_ai.encoding.sources import ModelPath

#: What low-rank adapters are put on: all attention and feed-forward products, as Biderman et
#: al. (2024) recommend; dropout and scaling are peft's own defaults.
_LORA_TARGETS = "all-linear"


def load_base(found: ModelPath, recipe: Recipe, device: str) -> SentenceTransformer:
    """The directory in float32 on ``device`` ("cpu", "cuda"), prepared as the recipe says.

    Raises ``EncoderError`` for a directory that may not be loaded, or that cannot be trained so.
    """
    check_directory(found.path, links_within=found.links_within)
    model: SentenceTransformer = load_model(found.path, device, DtypePlan("float32", None))
    model.train()
    if device == "cpu":
        transforming: Any = model
        transforming.forward = by_length(model.forward)
    for size in recipe.matryoshka:
        if size >= dimension(model):
            raise EncoderError(
                f"A vector of {dimension(model)} values has no prefix of {size} to be trained: "
                "give --matryoshka smaller numbers."
            )
    if freezes_embeddings(recipe, device):
        inner(model).get_input_embeddings().requires_grad_(False)
    if recipe.lora is not None:
        _add_adapters(model, recipe.lora)
    if recipe.gradient_checkpointing:
        # The input must ask for gradients, or what is computed again from it has none.
        inner(model).enable_input_require_grads()
    return model


def freezes_embeddings(recipe: Recipe, device: str) -> bool:
    """Whether the table of word embeddings stays as it is.

    On a CPU it does by default: an optimizer's step over a table of 250,000 words costs as much
    as the whole pass of a small model over a batch.
    """
    return recipe.embeddings == "freeze" or (recipe.embeddings == "auto" and device == "cpu")


@contextmanager
def cut(model: SentenceTransformer, tokens: int | None) -> Iterator[None]:
    """Texts are cut off at ``tokens`` meanwhile (None: as ever); what is saved reads as before."""
    reads = model.max_seq_length
    if tokens is not None:
        model.max_seq_length = min(tokens, int(reads or tokens))
    try:
        yield
    finally:
        model.max_seq_length = reads


def prompts(model: SentenceTransformer, pairs: str) -> str | dict[str, dict[str, str]] | None:
    """What the trainer writes before the texts: what they get when they are served.

    A base with a prompt of its own has it before every text. The others see the card's
    ``query: `` before the positives of the data set ``pairs``, and nothing elsewhere.
    """
    default = model.default_prompt_name
    if default:
        return str(model.prompts[default])
    if any(model.prompts.values()):
        return None
    return {pairs: {"positive": POSITIVE_PROMPT}}


def inner(model: SentenceTransformer) -> Any:
    """The transformer itself. Raises ``EncoderError`` where there is none."""
    found = getattr(model[0], "model", None)
    if found is None:
        raise EncoderError(
            f"{type(model[0]).__name__} is no transformer, so this recipe cannot train it: take a "
            "base such as 'bundled' or BAAI/bge-m3."
        )
    return found


def dimension(model: SentenceTransformer) -> int:
    return int(model.get_embedding_dimension() or 0)


def load_adapters(model: SentenceTransformer, checkpoint: Path) -> bool:
    """Whether the model has adapters; then those of the checkpoint take their place."""
    adapted = inner(model)
    if not hasattr(adapted, "peft_config"):
        return False
    from peft import load_peft_weights, set_peft_model_state_dict

    set_peft_model_state_dict(adapted, load_peft_weights(str(checkpoint), device="cpu"))
    return True


def merge_adapters(model: SentenceTransformer) -> None:
    """Work the adapters into the weights, so that what is saved is a plain model."""
    transformer: Any = model[0]
    transformer.model = transformer.model.merge_and_unload()


def _add_adapters(model: SentenceTransformer, rank: int) -> None:
    try:
        from peft import LoraConfig, TaskType, get_peft_model
    except ImportError as error:
        raise EncoderError(
            'Adapters need the package peft: pip install "marketplace-ai[train]".'
        ) from error
    config = LoraConfig(
        task_type=TaskType.FEATURE_EXTRACTION,
        r=rank,
        lora_alpha=2 * rank,
        target_modules=_LORA_TARGETS,
    )
    transformer: Any = model[0]
    transformer.model = get_peft_model(transformer.model, config)
