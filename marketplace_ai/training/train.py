"""A training from its files to the directory that it makes, top to bottom."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marketplace_ai.encoding import optional_deps
from marketplace_ai.encoding.backend import is_out_of_memory
from marketplace_ai.encoding.dtype import Device
from marketplace_ai.encoding.sources import ModelPath
from marketplace_ai.encoding.model_directory import weights_hash
from marketplace_ai.encoding.optional_deps import require
from marketplace_ai.encoding.text_encoder import EncoderError

from .data.loading import Data
from .recipe import Recipe
from .run import checkpoints

if TYPE_CHECKING:
    from .run.callbacks import Step

_PACKAGES = ("accelerate", "datasets")
#: What torch and safetensors say when the disk is full, which is no OSError there.
_DISK = ("no space left", "pytorchstreamwriter failed", "file write failed", "disk quota")


@dataclass(frozen=True)
class Trained:
    """``figures`` are those of ``train_encoder --json``. ``interrupted``: ``output`` is as it was,
    and there is a checkpoint to go on from."""

    output: Path
    interrupted: bool = False
    figures: dict[str, Any] = field(default_factory=dict)


def train(
    found: ModelPath,
    data: Data,
    recipe: Recipe,
    output: Path,
    *,
    resume: bool = False,
    report: Callable[[Step], None] = lambda step: None,
    say: Callable[[str], None] = lambda line: None,
) -> Trained:
    """Train and put the result at ``output``, in the place of what is there.

    ``output`` becomes a sentence-transformers directory (safetensors) with a model card; until
    it is whole, what was there stays. SIGINT ends the step and leaves a checkpoint, from which
    the same call goes on with ``resume``. Raises ``EncoderError`` that says what to do: memory
    or disk ran out, the checkpoint is another training's, a package is missing.
    """
    require_packages()
    device = Device.detect().kind
    base = {"source": found.source, "weights": weights_hash(found.path)}
    run = {"base": base, "data": data.fingerprint, "recipe": recipe.as_dict()}
    folder = checkpoints.folder_of(output)
    try:
        with checkpoints.alone(folder), quiet():
            checkpoint = checkpoints.begin(folder, run, resume=resume)
            figures = _train(found, data, recipe, output, folder, checkpoint, device, report, say)
            if figures is None:
                return Trained(output, interrupted=True)
            shutil.rmtree(folder, ignore_errors=True)
    except EncoderError:
        raise
    except KeyboardInterrupt:  # after the last step, whose checkpoint is there
        if checkpoints.last(folder) is None:
            raise
        return Trained(output, interrupted=True)
    except Exception as error:
        raise explained(error, recipe, output) from error
    return Trained(output, figures=figures)


def _train(
    found: ModelPath,
    data: Data,
    recipe: Recipe,
    output: Path,
    folder: Path,
    checkpoint: Path | None,
    device: str,
    report: Callable[[Step], None],
    say: Callable[[str], None],
) -> dict[str, Any] | None:
    """The figures of what was made; None where it was interrupted."""
    # Imported here: they import torch, and most of what is wrong is found without it.
    from transformers import set_seed

    from .model.base_model import cut, freezes_embeddings, load_base, merge_adapters
    from .model.model_card import prepare
    from .model.save import save
    from .model.weight_interpolation import blend
    from .run.callbacks import Watch, interrupts
    from .run.trainer import AsServed, make_trainer

    say("Loading the base …")
    # Adapters are drawn at random while it is loaded.
    set_seed(recipe.seed)
    model = load_base(found, recipe, device)
    prepare(model, found)
    evaluator = AsServed(data.test, recipe.batch_size) if data.test else None
    before = _measured(model, evaluator, say, "before")
    watch = Watch(report)
    trainer = make_trainer(
        model, data, recipe, folder, device=device, evaluator=evaluator, watch=watch
    )
    started = time.monotonic()
    with interrupts() as watch.stopping, cut(model, recipe.max_tokens):
        if checkpoint is None or not trainer.take_over(checkpoint):
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if watch.interrupted:
        return None
    seconds = time.monotonic() - started
    if recipe.lora is not None:
        merge_adapters(model)
    blend(model, found, recipe.blend)
    after = _measured(model, evaluator, say, "after")
    figures = {
        "steps": trainer.state.global_step,
        "seconds": round(seconds, 1),
        "rows": {name: len(rows) for name, rows in data.sets.items()},
        "unused": trainer.used.unused,
        "embeddings_frozen": freezes_embeddings(recipe, device),
        "device": device,
        "before": before,
        "after": after,
    }
    say("Saving …")
    save(model, found, data, recipe, figures, output)
    return figures


def _measured(model: Any, evaluator: Any, say: Callable[[str], None], when: str) -> dict[str, Any]:
    if evaluator is None:
        return {}
    say(f"Measuring the triplets {when} training …")
    model.eval()
    found = evaluator(model)
    model.train()
    return {
        name.rpartition("evaluation_")[2]: value
        for name, value in found.items()
        if "max" not in name
    }


def explained(error: Exception, recipe: Recipe, output: Path) -> EncoderError:
    """What to do about it, for the person who sees nothing else."""
    if is_out_of_memory(error):
        lower = [f"--batch-size (now {recipe.batch_size})"]
        if recipe.cached is None:
            lower.append("--cached 8, which keeps the batch and takes 8 rows of it at a time")
        if recipe.max_tokens is None:
            lower.append("--max-tokens 128")
        switches = [
            f"--{name}"
            for name, on in (
                ("gradient-checkpointing", recipe.gradient_checkpointing),
                ("bf16", recipe.bf16),
                ("lora 16", recipe.lora),
            )
            if not on
        ]
        return EncoderError(
            f"Memory ran out. Lower {', or '.join(lower)}; or add {', '.join(switches)}."
        )
    said = str(error).lower()
    if any(words in said for words in _DISK):
        return EncoderError(
            f"The disk of {output} is full ({error}). What was there is as it was. A training "
            "takes up to seven times the base's weights there, for two checkpoints and the result. "
            "Make room; where a checkpoint was left, the same command with --resume goes on."
        )
    if isinstance(error, OSError):
        return EncoderError(
            f"{output} cannot be written: {error}. What was there is as it was. Give an --output "
            "that this user may write to."
        )
    return EncoderError(f"The training failed: {type(error).__name__}: {error}")


def require_packages() -> None:
    require(_PACKAGES, "Training", "train")


@contextmanager
def quiet() -> Iterator[None]:
    """Without the bars and remarks that the libraries write while they train and save."""
    from datasets import disable_progress_bars, enable_progress_bars
    from transformers.utils import logging as transformers_logging

    bars: Any = transformers_logging  # its functions are untyped
    shown, level = bars.is_progress_bar_enabled(), bars.get_verbosity()
    bars.disable_progress_bar()
    bars.set_verbosity_error()
    disable_progress_bars()
    try:
        with optional_deps.quiet("sentence_transformers", "accelerate"):
            yield
    finally:
        enable_progress_bars()
        bars.set_verbosity(level)
        if shown:
            bars.enable_progress_bar()
