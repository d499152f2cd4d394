"""The base model: loaded, prepared for a recipe, with some or all of its weights trained."""

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

from .length_buckets import bucket_by_length

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from marketplace_ai.encoding.sources import ModelPath

#: The layers that get low-rank adapters: all attention and feed-forward products, as Biderman
#: et al. (2024) recommend.
_LORA_TARGETS = "all-linear"


def load_base(base: ModelPath, recipe: Recipe, device: str) -> SentenceTransformer:
    """Load the base in float32 on ``device`` ("cpu", "cuda") and prepare it for the recipe.

    Raises EncoderError for a directory that is not safe to load, or cannot be trained this way.
    """
    check_directory(base.path, links_within=base.links_within)
    model: SentenceTransformer = load_model(base.path, device, DtypePlan("float32", None))
    model.train()
    if device == "cpu":
        untyped: Any = model
        untyped.forward = bucket_by_length(model.forward)
    for size in recipe.matryoshka:
        if size >= vector_size(model):
            raise EncoderError(
                f"A vector of {vector_size(model)} values has no prefix of {size} to train: give "
                "--matryoshka smaller numbers."
            )
    if freezes_embeddings(recipe, device):
        transformer_of(model).get_input_embeddings().requires_grad_(False)
    if recipe.lora is not None:
        _add_adapters(model, recipe.lora)
    if recipe.gradient_checkpointing:
        # Without a gradient on the input, the recomputed layers would have none.
        transformer_of(model).enable_input_require_grads()
    return model


def freezes_embeddings(recipe: Recipe, device: str) -> bool:
    """Whether the word embeddings stay as they are; by default on a CPU.

    An optimizer step over 250,000 word embeddings costs as much there as the whole pass of a
    small model over a batch.
    """
    return recipe.embeddings == "freeze" or (recipe.embeddings == "auto" and device == "cpu")


@contextmanager
def truncate_texts(model: SentenceTransformer, max_tokens: int | None) -> Iterator[None]:
    """Truncate texts to ``max_tokens`` (None: no change) within the block; not saved."""
    limit = model.max_seq_length
    if max_tokens is not None:
        model.max_seq_length = min(max_tokens, int(limit or max_tokens))
    try:
        yield
    finally:
        model.max_seq_length = limit


def training_prompts(
    model: SentenceTransformer, pairs: str
) -> str | dict[str, dict[str, str]] | None:
    """The trainer's ``prompts``: what the encoder gets before a text when it is served.

    A base with a default prompt has it before every text. A base without prompts has
    ``POSITIVE_PROMPT`` before the positives of the data set ``pairs``, as in the reference card.
    """
    default = model.default_prompt_name
    if default:
        return str(model.prompts[default])
    if any(model.prompts.values()):
        return None
    return {pairs: {"positive": POSITIVE_PROMPT}}


def transformer_of(model: SentenceTransformer) -> Any:
    """The transformer inside a SentenceTransformer; EncoderError if its first module has none."""
    transformer = getattr(model[0], "model", None)
    if transformer is None:
        raise EncoderError(
            f"{type(model[0]).__name__} is not a transformer, so this recipe cannot train it. Use "
            "a base such as 'bundled' or BAAI/bge-m3."
        )
    return transformer


def vector_size(model: SentenceTransformer) -> int:
    return int(model.get_embedding_dimension() or 0)


def load_adapters(model: SentenceTransformer, checkpoint: Path) -> bool:
    """Load the adapters of a checkpoint; False if the model has none."""
    transformer = transformer_of(model)
    if not hasattr(transformer, "peft_config"):
        return False
    from peft import load_peft_weights, set_peft_model_state_dict

    set_peft_model_state_dict(transformer, load_peft_weights(str(checkpoint), device="cpu"))
    return True


def merge_adapters(model: SentenceTransformer) -> None:
    """Merge the adapters into the weights, so that a plain model is saved."""
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
