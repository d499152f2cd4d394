"""A training from its data to the directory of the fine-tuned encoder."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marketplace_ai.encoding.dtype import Device
from marketplace_ai.encoding.model_directory import weights_hash
from marketplace_ai.encoding.optional_deps import require
from marketplace_ai.encoding.sources import ModelPath
from marketplace_ai.encoding.text_encoder import EncoderError

from .data.training_data import TrainingData
from .recipe import Recipe
from .run import checkpoints
from .run.failures import explain_failure
from .run.quiet import quiet_libraries

if TYPE_CHECKING:
    from .run.callbacks import TrainingProgress
    from .run.serving_evaluator import ServingTripletEvaluator


@dataclass(frozen=True)
class TrainingResult:
    """The outcome of ``train``.

    ``figures`` are those of ``train_encoder --json``. If ``interrupted``, ``output`` is unchanged
    and there is a checkpoint to resume from.
    """

    output: Path
    interrupted: bool = False
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Training:
    """One training: its inputs, its output, and whom it tells about its progress."""

    base: ModelPath
    data: TrainingData
    recipe: Recipe
    output: Path
    report: Callable[[TrainingProgress], None]
    say: Callable[[str], None]

    @cached_property
    def device(self) -> str:
        return Device.detect().kind

    @property
    def checkpoints(self) -> Path:
        return checkpoints.checkpoint_dir(self.output)

    @property
    def identity(self) -> dict[str, Any]:
        """What must be equal for a checkpoint to be resumed."""
        base = {"source": self.base.source, "weights": weights_hash(self.base.path)}
        return {"base": base, "data": self.data.fingerprint, "recipe": self.recipe.as_dict()}


def train(
    base: ModelPath,
    data: TrainingData,
    recipe: Recipe,
    output: Path,
    *,
    resume: bool = False,
    report: Callable[[TrainingProgress], None] = lambda progress: None,
    say: Callable[[str], None] = lambda line: None,
) -> TrainingResult:
    """Fine-tune ``base`` and replace ``output`` with the result.

    ``output`` becomes a sentence-transformers directory (safetensors) with a model card; what was
    there stays until the new one is complete. SIGINT and SIGTERM stop after the current step and
    leave a checkpoint, from which the same call continues with ``resume``.

    ``report`` is called after each step, ``say`` with a line at the start of each phase. Raises
    EncoderError with a message that says what to do: memory or disk ran out, the checkpoint
    belongs to another training, a package is missing.
    """
    require_packages()
    training = Training(base, data, recipe, output, report, say)
    directory = training.checkpoints
    try:
        with checkpoints.exclusive(directory), quiet_libraries():
            checkpoint = checkpoints.start_or_resume(directory, training.identity, resume=resume)
            figures = _train(training, checkpoint)
            if figures is None:
                return TrainingResult(output, interrupted=True)
            shutil.rmtree(directory, ignore_errors=True)
    except EncoderError:
        raise
    except KeyboardInterrupt:  # after the last step, which left a checkpoint
        if checkpoints.latest_checkpoint(directory) is None:
            raise
        return TrainingResult(output, interrupted=True)
    except Exception as error:
        raise explain_failure(error, recipe, output) from error
    return TrainingResult(output, figures=figures)


def require_packages() -> None:
    """Raise EncoderError if a package of the extra ``train`` is missing."""
    require(("accelerate", "datasets"), "Training", "train")


def _train(training: Training, checkpoint: Path | None) -> dict[str, Any] | None:
    """Train and save; the figures of the result, None if interrupted."""
    # Imported here: they import torch, and most mistakes are found without it.
    from transformers import set_seed

    from .model import weight_interpolation
    from .model.base_model import freezes_embeddings, load_base, merge_adapters
    from .model.model_card import set_base_model
    from .model.save import save_trained
    from .run.serving_evaluator import ServingTripletEvaluator

    base, data, recipe, say = training.base, training.data, training.recipe, training.say
    say("Loading the base …")
    set_seed(recipe.seed)  # before loading: adapters are initialized at random
    model = load_base(base, recipe, training.device)
    set_base_model(model, base)
    evaluator = ServingTripletEvaluator(data.test, recipe.batch_size) if data.test else None
    before = _evaluate(model, evaluator, say, "before")
    started_at = time.monotonic()
    trainer = _run_trainer(training, model, evaluator, checkpoint)
    if trainer is None:
        return None
    seconds = time.monotonic() - started_at
    if recipe.lora is not None:
        merge_adapters(model)
    weight_interpolation.interpolate_weights(model, base, recipe.interpolation_alpha)
    figures = {
        "steps": trainer.state.global_step,
        "seconds": round(seconds, 1),
        "rows": {name: len(rows) for name, rows in data.sets.items()},
        "unused": trainer.epoch_plan.unused,
        "left_out": dict(data.left_out),
        "embeddings_frozen": freezes_embeddings(recipe, training.device),
        "device": training.device,
        "before": before,
        "after": _evaluate(model, evaluator, say, "after"),
    }
    say("Saving …")
    save_trained(model, base, data, recipe, figures, training.output)
    return figures


def _run_trainer(
    training: Training,
    model: Any,
    evaluator: ServingTripletEvaluator | None,
    checkpoint: Path | None,
) -> Any:
    """Run the trainer to its end, and return it; None if a signal stopped it."""
    from .model.base_model import truncate_texts
    from .run import callbacks
    from .run.trainer import make_trainer

    callback = callbacks.StepCallback(training.report)
    trainer = make_trainer(
        model, training.data, training.recipe, training.checkpoints,
        device=training.device, evaluator=evaluator, callback=callback,
    )  # fmt: skip
    with (
        callbacks.stop_signals() as callback.should_stop,
        truncate_texts(model, training.recipe.max_tokens),
    ):
        if checkpoint is None or not trainer.load_finished(checkpoint):
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    return None if callback.interrupted else trainer


def _evaluate(model: Any, evaluator: Any, say: Callable[[str], None], when: str) -> dict[str, Any]:
    if evaluator is None:
        return {}
    say(f"Evaluating the test triplets {when} training …")
    model.eval()
    accuracies = evaluator(model)
    model.train()
    return {
        name.rpartition("evaluation_")[2]: value
        for name, value in accuracies.items()
        if "max" not in name
    }
