"""The trainer of sentence-transformers with the recipe's batches, arguments and evaluator."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict
from sentence_transformers import (
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.base.sampler import DefaultBatchSampler, MultiDatasetBatchSamplers
from transformers import EarlyStoppingCallback, TrainerState
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from marketplace_ai.encoding.text_encoder import EncoderError
from marketplace_ai.training.data.hard_negatives import hard_negatives
from marketplace_ai.training.data.pair_batches import category_batches
from marketplace_ai.training.data.training_data import PAIRS, EpochPlan, TrainingData, plan_epoch
from marketplace_ai.training.model.base_model import load_adapters, training_prompts
from marketplace_ai.training.model.losses import losses_by_set
from marketplace_ai.training.recipe import Recipe

from .callbacks import StepCallback
from .serving_evaluator import EVALUATOR_NAME, ServingTripletEvaluator

#: Steps between two checkpoints (the trainer's default), and between two reports of the loss.
CHECKPOINT_STEPS, LOSS_STEPS = 500, 10
#: Evaluations in a training that may stop early.
NUM_EVALUATIONS = 10


@dataclass(frozen=True)
class TrainingSets:
    """The data sets as the trainer takes them, and what keeps pairs out of one another's batch.

    ``categories`` and ``keys`` have one entry per pair: no batch has two pairs of one category,
    or two that share a key (see ``category_batches``).
    """

    datasets: DatasetDict
    categories: Sequence[int] = ()
    keys: Sequence[frozenset[Any]] = ()

    @classmethod
    def build(cls, model: Any, data: TrainingData, recipe: Recipe) -> TrainingSets:
        """The sets of ``data``, with mined hard negatives if the recipe asks for them."""
        datasets = {name: Dataset.from_dict(_columns(rows)) for name, rows in data.sets.items()}
        categories = data.categories()
        keys: list[frozenset[Any]] = [frozenset(pair[:2]) for pair in data.pairs]
        if recipe.hard_negatives and data.pairs:
            negatives = hard_negatives(model, data)
            texts = [data.pairs[negative].anchor for negative in negatives]
            datasets[PAIRS] = datasets[PAIRS].add_column("negative", texts)
            # The negative of a row is a negative of the whole batch, so neither its text nor its
            # category may be another row's positive.
            keys = [
                key | {text, _Category(categories[row]), _Category(categories[negative])}
                for row, (key, text, negative) in enumerate(
                    zip(keys, texts, negatives, strict=True)
                )
            ]
        return cls(DatasetDict(datasets), categories, keys)

    def pair_batches(self, size: int, seed: int) -> Iterator[list[int]]:
        """Batches of row numbers of the pairs."""
        return category_batches(self.categories, self.keys, size, seed)


class RecipeTrainer(SentenceTransformerTrainer):
    """A trainer whose batches of pairs hold each category once; made by ``make_trainer``."""

    sets: TrainingSets
    epoch_plan: EpochPlan

    def load_finished(self, checkpoint: Path) -> bool:
        """Load the weights of a training that had ended when it left this checkpoint.

        False if it had not ended: then it must be resumed.
        """
        state = TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))
        if state.global_step < state.max_steps and not _stopped_early(state):
            return False
        self.state = state
        best = state.best_model_checkpoint if self.args.load_best_model_at_end else None
        self._load_from_checkpoint(best or str(checkpoint))
        return True

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        # The library would load a whole model, but a checkpoint of adapters holds only these.
        transformer: Any = self.model
        if not load_adapters(transformer, Path(resume_from_checkpoint)):
            super()._load_from_checkpoint(resume_from_checkpoint)

    def get_batch_sampler(self, dataset: Any, batch_size: int, *args: Any, **kwargs: Any) -> Any:
        datasets: Any = self.train_dataset
        if dataset is datasets.get(PAIRS):
            return CategoryBatchSampler(dataset, batch_size, self.sets, self.args.seed)
        return super().get_batch_sampler(dataset, batch_size, *args, **kwargs)


class CategoryBatchSampler(DefaultBatchSampler):
    """``TrainingSets.pair_batches`` as a batch sampler, with other batches each epoch."""

    def __init__(self, dataset: Any, batch_size: int, sets: TrainingSets, seed: int) -> None:
        super().__init__(dataset, batch_size=batch_size, drop_last=False, seed=seed)
        self._sets = sets

    def __iter__(self) -> Iterator[list[int]]:
        return self._sets.pair_batches(self.batch_size, self.seed + self.epoch)

    def __len__(self) -> int:
        # Counted by making them: shared texts and negatives may keep rows apart as well.
        return sum(1 for _ in self._sets.pair_batches(self.batch_size, self.seed))


def make_trainer(
    model: Any,
    data: TrainingData,
    recipe: Recipe,
    checkpoints: Path,
    *,
    device: str,
    evaluator: ServingTripletEvaluator | None,
    callback: StepCallback,
) -> RecipeTrainer:
    """A trainer for the recipe that writes its checkpoints into ``checkpoints``.

    Raises EncoderError if no two pairs can be in one batch.
    """
    sets = TrainingSets.build(model, data, recipe)
    pair_batches = sets.pair_batches(recipe.batch_size, recipe.seed)
    try:
        epoch_plan = plan_epoch(data, recipe.batch_size, pair_batches)
    except ValueError as error:
        raise EncoderError(f"{error}.".capitalize()) from error
    steps = math.ceil(epoch_plan.steps * recipe.epochs)
    arguments = _arguments(model, recipe, checkpoints, device, steps)
    callbacks: list[Any] = [callback]
    if recipe.patience is not None:
        callbacks.append(EarlyStoppingCallback(recipe.patience))
    # The model card's progress bar over the examples would overwrite the command's.
    with redirect_stderr(io.StringIO()):
        trainer = RecipeTrainer(
            model=model,
            args=arguments,
            train_dataset=sets.datasets,
            loss=losses_by_set(model, recipe, list(sets.datasets)),
            evaluator=evaluator if recipe.patience is not None else None,
            callbacks=callbacks,
        )
    trainer.sets, trainer.epoch_plan = sets, epoch_plan
    for default_callback in (ProgressCallback, PrinterCallback):  # ``callback`` reports instead
        trainer.remove_callback(default_callback)
    return trainer


def _arguments(
    model: Any, recipe: Recipe, checkpoints: Path, device: str, steps: int
) -> SentenceTransformerTrainingArguments:
    """The library's training arguments for a recipe."""
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(checkpoints),
        # An int if it is whole, so that the card shows the default as such.
        num_train_epochs=int(recipe.epochs) if float(recipe.epochs).is_integer() else recipe.epochs,
        per_device_train_batch_size=recipe.batch_size,
        per_device_eval_batch_size=recipe.batch_size,
        learning_rate=recipe.learning_rate,
        warmup_steps=recipe.warmup,
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_grad_norm,
        seed=recipe.seed,
        bf16=recipe.bf16,
        gradient_checkpointing=recipe.gradient_checkpointing,
        gradient_checkpointing_kwargs=(
            {"use_reentrant": False} if recipe.gradient_checkpointing else None
        ),
        # Set explicitly: the library's default for several data sets is proportional.
        multi_dataset_batch_sampler=MultiDatasetBatchSamplers.ROUND_ROBIN,
        prompts=training_prompts(model, PAIRS),
        logging_steps=LOSS_STEPS,
        report_to="none",
        disable_tqdm=True,
        use_cpu=device == "cpu",
        dataloader_pin_memory=device != "cpu",
        **_checkpoint_arguments(recipe, steps),
    )
    # One device: with several, batches would be larger than the recipe's.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def _checkpoint_arguments(recipe: Recipe, steps: int) -> dict[str, Any]:
    if recipe.patience is None:
        return {
            "eval_strategy": "no",
            "eval_steps": CHECKPOINT_STEPS,
            "save_steps": CHECKPOINT_STEPS,
            "save_total_limit": 1,
        }
    every = max(1, steps // NUM_EVALUATIONS)
    return {
        "eval_strategy": "steps",
        "eval_steps": every,
        "save_steps": every,
        "save_total_limit": 2,
        "load_best_model_at_end": True,
        "restore_callback_states_from_checkpoint": True,  # the patience that is left
        "metric_for_best_model": f"eval_{EVALUATOR_NAME}_cosine_accuracy",
    }


def _stopped_early(state: TrainerState) -> bool:
    callbacks: Any = state.stateful_callbacks or {}
    stopping = callbacks.get(EarlyStoppingCallback.__name__)
    if not stopping:
        return False
    without_improvement = stopping["attributes"]["early_stopping_patience_counter"]
    return bool(without_improvement >= stopping["args"]["early_stopping_patience"])


@dataclass(frozen=True)
class _Category:
    """A category as a key, so that it never equals a text."""

    number: int


def _columns(rows: Sequence[Any]) -> dict[str, list[Any]]:
    # The library takes a column named score as the label, and all others as texts.
    fields = [name for name in rows[0]._fields if name != "category"]
    return {name: [getattr(row, name) for row in rows] for name in fields}
