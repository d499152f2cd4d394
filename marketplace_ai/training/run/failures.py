"""What to do about a failed training, for the person who only sees the message."""

from __future__ import annotations

from pathlib import Path

from marketplace_ai.encoding.backend import is_out_of_memory
from marketplace_ai.encoding.text_encoder import EncoderError
from marketplace_ai.training.recipe import Recipe

#: What torch and safetensors say, without raising an OSError, when the disk is full.
_DISK_FULL = ("no space left", "pytorchstreamwriter failed", "file write failed", "disk quota")


def explain_failure(error: Exception, recipe: Recipe, output: Path) -> EncoderError:
    """An EncoderError whose message says what failed and how to fix it."""
    if is_out_of_memory(error):
        return EncoderError(_out_of_memory(recipe))
    if any(words in str(error).lower() for words in _DISK_FULL):
        return EncoderError(
            f"The disk of {output} is full ({error}). Existing files are unchanged. A training "
            "takes up to seven times the base's weights there, for two checkpoints and the result. "
            "Free some space; if there is a checkpoint, the same command with --resume continues."
        )
    if isinstance(error, OSError):
        return EncoderError(
            f"{output} cannot be written: {error}. Existing files are unchanged. Give an --output "
            "that this user may write to."
        )
    return EncoderError(f"The training failed: {type(error).__name__}: {error}")


def _out_of_memory(recipe: Recipe) -> str:
    lower = [f"--batch-size (now {recipe.batch_size})"]
    if recipe.max_tokens is None:
        lower.append("--max-tokens, as to 128")
    add = [
        option
        for option, is_set in (
            (
                "--gradcache-mini-batch-size 8 (keeps the batch, with 8 rows per forward pass)",
                recipe.gradcache_mini_batch_size,
            ),
            ("--gradient-checkpointing", recipe.gradient_checkpointing),
            ("--bf16", recipe.bf16),
            ("--lora 16", recipe.lora),
        )
        if not is_set
    ]
    more = f", or add {', '.join(add)}" if add else ""
    return f"Memory ran out. Lower {' or '.join(lower)}{more}."
