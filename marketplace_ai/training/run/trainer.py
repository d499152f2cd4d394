"""The trainer of sentence-transformers with our batches, evaluator and reports."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, DatasetDict
from sentence_transformers import (
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.base.sampler import DefaultBatchSampler, MultiDatasetBatchSamplers
from sentence_transformers.sentence_transformer.evaluation import TripletEvaluator
from transformers import EarlyStoppingCallback, TrainerState
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from marketplace_ai.encoding.text_encoder import EncoderError
from marketplace_ai.training.data.datasets import Triplet
from marketplace_ai.training.data.hard_negatives import hard_negatives
from marketplace_ai.training.data.loading import PAIRS, Data, Plan, plan
from marketplace_ai.training.data.pair_batches import batches
from marketplace_ai.training.model.base_model import load_adapters, prompts
from marketplace_ai.training.model.losses import losses
from marketplace_ai.training.recipe import Recipe

from .callbacks import Watch

#: Steps between two checkpoints (the trainer's default), and between two reports of the loss.
CHECKPOINT_STEPS, LOSS_STEPS = 500, 10
#: Evaluations in a training that may stop early.
EVALUATIONS = 10
#: What the model card calls the test.
TEST_NAME = "test-triplet-evaluation"


class Trainer(SentenceTransformerTrainer):
    """Batches of pairs hold each category once; ``keys`` are the pairs' (see ``batches``)."""

    categories: Sequence[Any] = ()
    keys: Sequence[frozenset[Any]] = ()
    used: Plan

    def take_over(self, checkpoint: Path) -> bool:
        """Whether the training that left this checkpoint had ended; then its weights are taken
        from there, and there is nothing to train."""
        state = TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))
        if state.global_step < state.max_steps and not _lost_patience(state):
            return False
        self.state = state
        best = state.best_model_checkpoint if self.args.load_best_model_at_end else None
        self._load_from_checkpoint(best or str(checkpoint))
        return True

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        # The library would load a plain model; a checkpoint of adapters has nothing but these.
        transformer: Any = self.model
        if not load_adapters(transformer, Path(resume_from_checkpoint)):
            super()._load_from_checkpoint(resume_from_checkpoint)

    def get_batch_sampler(self, dataset: Any, batch_size: int, *args: Any, **kwargs: Any) -> Any:
        sets: Any = self.train_dataset
        if dataset is sets.get(PAIRS):
            return CategorySampler(dataset, batch_size, self.categories, self.keys, self.args.seed)
        return super().get_batch_sampler(dataset, batch_size, *args, **kwargs)


class CategorySampler(DefaultBatchSampler):
    """``batches`` as the library wants them, other ones each epoch."""

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        categories: Sequence[Any],
        keys: Sequence[frozenset[Any]],
        seed: int,
    ) -> None:
        super().__init__(dataset, batch_size=batch_size, drop_last=False, seed=seed)
        self._categories, self._keys = categories, keys

    def __iter__(self) -> Iterator[list[int]]:
        return batches(self._categories, self._keys, self.batch_size, self.seed + self.epoch)

    def __len__(self) -> int:
        # Counted by making them: texts and negatives may keep rows apart as well.
        return sum(1 for _ in batches(self._categories, self._keys, self.batch_size, self.seed))


class AsServed(TripletEvaluator):
    """Triplet accuracy with every text encoded as postings and exemplars are: the library's own
    evaluator takes positives and negatives for documents, behind another prompt."""

    def __init__(self, triplets: Sequence[Triplet], batch_size: int) -> None:
        super().__init__(
            [row.anchor for row in triplets],
            [row.positive for row in triplets],
            [row.negative for row in triplets],
            name=TEST_NAME,
            batch_size=batch_size,
            write_csv=False,
            similarity_fn_names=["cosine", "dot", "manhattan", "euclidean"],
        )

    @property
    def description(self) -> str:
        return "Triplet"

    def embed_inputs(
        self, model: Any, sentences: Any, encode_fn_name: str | None = None, **kwargs: Any
    ) -> np.ndarray[Any, Any]:
        places = {text: place for place, text in enumerate(dict.fromkeys(sentences))}
        found: np.ndarray[Any, Any] = model.encode(
            list(places),
            batch_size=self.batch_size,
            show_progress_bar=False,
            convert_to_numpy=True,
            normalize_embeddings=True,
        )
        return found[[places[text] for text in sentences]]


def make_trainer(
    model: Any,
    data: Data,
    recipe: Recipe,
    folder: Path,
    *,
    device: str,
    evaluator: AsServed | None,
    watch: Watch,
) -> Trainer:
    """A trainer of the recipe whose checkpoints go into ``folder``."""
    negatives = hard_negatives(model, data) if recipe.hard_negatives and data.pairs else None
    sets = {name: Dataset.from_dict(_columns(rows)) for name, rows in data.sets.items()}
    keys: list[frozenset[Any]] = [frozenset(pair[:2]) for pair in data.pairs]
    categories: Sequence[int] = data.categories()
    if negatives is not None:
        # Another row's positive must be no false negative, so neither may this row's negative.
        sets[PAIRS] = sets[PAIRS].add_column("negative", [data.pairs[i].anchor for i in negatives])
        keys = [
            key
            | {data.pairs[other].anchor, _Category(categories[row]), _Category(categories[other])}
            for row, (key, other) in enumerate(zip(keys, negatives, strict=True))
        ]
    pair_batches = sum(1 for _ in batches(categories, keys, recipe.batch_size, recipe.seed))
    try:
        used = plan(data, recipe.batch_size, pair_batches)
    except ValueError as error:
        raise EncoderError(f"{error}.".capitalize()) from error
    steps = math.ceil(used.steps * recipe.epochs)
    stops_early = recipe.patience is not None
    callbacks: list[Any] = [watch]
    if recipe.patience is not None:
        callbacks.append(EarlyStoppingCallback(recipe.patience))
    every = max(1, steps // EVALUATIONS) if stops_early else CHECKPOINT_STEPS
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(folder),
        # A whole number as such, for it is the default and is shown as one.
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
        # Said, because the library's own default is proportional since it has several.
        multi_dataset_batch_sampler=MultiDatasetBatchSamplers.ROUND_ROBIN,
        prompts=prompts(model, PAIRS),
        eval_strategy="steps" if stops_early else "no",
        eval_steps=every,
        save_steps=every,
        save_total_limit=2 if stops_early else 1,
        load_best_model_at_end=stops_early,
        restore_callback_states_from_checkpoint=stops_early,  # the patience that is left
        metric_for_best_model=f"eval_{TEST_NAME}_cosine_accuracy" if stops_early else None,
        logging_steps=LOSS_STEPS,
        report_to="none",
        disable_tqdm=True,
        use_cpu=device == "cpu",
        dataloader_pin_memory=device != "cpu",
    )
    # One device, however many there are: more would make larger batches than the recipe's.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    # A bar of the examples for the card would be written over ours.
    with redirect_stderr(io.StringIO()):
        trainer = Trainer(
            model=model,
            args=arguments,
            train_dataset=DatasetDict(sets),
            loss=losses(model, recipe, list(sets)),
            evaluator=evaluator if stops_early else None,
            callbacks=callbacks,
        )
    trainer.categories, trainer.keys, trainer.used = categories, keys, used
    for callback in (ProgressCallback, PrinterCallback):  # we show what there is to see
        trainer.remove_callback(callback)
    return trainer


def _lost_patience(state: TrainerState) -> bool:
    callbacks: Any = state.stateful_callbacks or {}
    kept = callbacks.get(EarlyStoppingCallback.__name__)
    if not kept:
        return False
    worse = kept["attributes"]["early_stopping_patience_counter"]
    return bool(worse >= kept["args"]["early_stopping_patience"])


@dataclass(frozen=True)
class _Category:
    """A category among the texts that a batch may hold once."""

    name: Any


def _columns(rows: Sequence[Any]) -> dict[str, list[Any]]:
    # The library takes a column named score for the label, and all others for texts.
    fields = [name for name in rows[0]._fields if name != "category"]
    return {name: [getattr(row, name) for row in rows] for name in fields}
