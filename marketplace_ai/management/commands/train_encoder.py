from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandParser

from marketplace_ai.encoding import EncoderError
from marketplace_ai.management.console import (
    HelpfulCommand,
    print_json,
    progress,
    runtime_error,
    usage_error,
)
from marketplace_ai.management.encoder_options import find_base_model
from marketplace_ai.management.skip_bad import add_skip_bad, refuse
from marketplace_ai.text.csv_files import TableError
from marketplace_ai.training.model import training_metadata
from marketplace_ai.training.recipe import Recipe

if TYPE_CHECKING:
    from marketplace_ai.encoding.sources import ModelPath
    from marketplace_ai.training.data.training_data import EpochPlan, TrainingData
    from marketplace_ai.training.run.callbacks import TrainingProgress
    from marketplace_ai.training.train import TrainingResult

HELP = """\
Fine-tunes an encoder by the recipe of a published model card (bge-m3 on Norwegian job titles):
triplets with TripletLoss, pairs with MultipleNegativesRankingLoss and scored pairs with
CoSENTLoss, in round robin, for one epoch. Writes a sentence-transformers directory with a model
card, for register_encoder. No database is needed.

The files are those of mine_training_data, with one JSON object per line. At least one is needed.
Round robin ends with the smallest set, so give the same number of rows of each.
"""

EXAMPLES = """\
examples:
  manage.py mine_training_data --out mined
  manage.py train_encoder --triplets mined/triplets.jsonl --pairs mined/pairs.jsonl \\
      --scored mined/scored.jsonl --eval-triplets mined/test_triplets.jsonl \\
      --base bundled --output encoders/v2
  manage.py train_encoder ... --dry-run      estimates steps, memory and time

Ctrl-C stops after the current step and leaves a checkpoint; --resume continues from it. Exit code
0: the directory was written; 1: the training failed or was interrupted; 2: bad usage or input.
"""

DEFAULTS = Recipe()
#: A larger share of a set that stays unused is told, however few rows it is.
MAX_UNUSED_SHARE = 0.1


class Command(HelpfulCommand):
    help = HELP
    examples = EXAMPLES
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("--triplets", metavar="FILE", help="anchor, positive, negative")
        add("--pairs", metavar="FILE", help="anchor, positive; category prevents false negatives")
        add("--scored", metavar="FILE", help="sentence1, sentence2, score from 0 to 1")
        add("--eval-triplets", metavar="FILE", help="test triplets, for the accuracy before, after")
        add(
            "--base", default="bundled", metavar="NAME_OR_DIR",
            help="'bundled' (default), a directory, a hub id, or a registered encoder's name",
        )  # fmt: skip
        add("--output", required=True, metavar="DIR", help="the directory to write")
        add("--overwrite", action="store_true", help="replace an earlier result in DIR")
        add("--resume", action="store_true", help="continue from the checkpoint that Ctrl-C left")
        add("--dry-run", action="store_true", help="estimate the cost, without training")
        add_skip_bad(parser)
        add("--json", action="store_true", help="print one JSON object")
        _add_reference_options(parser)
        _add_interpolation_option(parser)
        _add_further_options(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        as_json = options["json"]
        recipe = _recipe(options)
        try:
            data = _data(options)
        except TableError as error:
            refuse(error, options)
        output = Path(options["output"]).expanduser().absolute()
        _check_output(output, overwrite=options["overwrite"])
        from marketplace_ai.training.data.training_data import plan_epoch

        try:
            epoch = plan_epoch(
                data, recipe.batch_size, data.pair_batches(recipe.batch_size, recipe.seed)
            )
        except ValueError as error:
            usage_error(f"{error}.")
        base = find_base_model(options["base"], self.say)
        if options["dry_run"]:
            self._print_estimate(_estimate(base, data, recipe, output), as_json=as_json)
            return
        if not as_json:
            self._say_plan(data, epoch, recipe)
        from marketplace_ai.training.train import train

        try:
            with _progress_bar(epoch, recipe, quiet=as_json) as report:
                result = train(
                    base, data, recipe, output, resume=options["resume"], report=report,
                    say=(lambda line: None) if as_json else self.say,
                )  # fmt: skip
        except EncoderError as error:
            runtime_error(str(error))
        if result.interrupted:
            runtime_error(
                "Interrupted, with a checkpoint. The same command with --resume continues."
            )
        if as_json:
            print_json(self, {"output": str(output), **result.figures})
        else:
            self._print_result(result)

    def _say_plan(self, data: TrainingData, epoch: EpochPlan, recipe: Recipe) -> None:
        rows = ", ".join(f"{len(rows):,} {name}" for name, rows in data.sets.items())
        self.say(
            f"{rows}: {epoch.steps:,} steps per epoch, {epoch.batches:,} batches of each set in "
            "turn."
        )
        for name, number in epoch.unused.items():
            if number > min(recipe.batch_size, MAX_UNUSED_SHARE * len(data.sets[name])):
                self.say(_unused(name, number, data, epoch))

    def _print_result(self, result: TrainingResult) -> None:
        figures = result.figures
        self.stdout.write(
            f"{figures['steps']:,} steps in {figures['seconds']:,.0f} s. The encoder is in "
            f"{result.output}."
        )
        if figures["after"]:
            before, after = (figures[when]["cosine_accuracy"] for when in ("before", "after"))
            self.stdout.write(
                f"Triplet accuracy by cosine: {before:.1%} before training, {after:.1%} after."
            )
        self.stdout.write(
            f"Next, register it: manage.py register_encoder NAME --path {result.output}. "
            "manage.py activate_encoder NAME --dry-run then compares it with the active one."
        )

    def _print_estimate(self, estimate: dict[str, Any], *, as_json: bool) -> None:
        if as_json:
            print_json(self, estimate)
            return
        from marketplace_ai.training.run.estimate import estimate_lines

        for line in estimate_lines(estimate):
            self.stdout.write(line)


def _unused(name: str, number: int, data: TrainingData, epoch: EpochPlan) -> str:
    """How many rows of a set stay unused, and why."""
    sentence = f"{number:,} of {len(data.sets[name]):,} {name} stay unused in an epoch"
    if name == "pairs" and epoch.pairs_without_batch > number / 2:
        return (
            f"{sentence}: a batch has each category once, and nearly all pairs are of one. Mine "
            "pairs of more categories, in turn."
        )
    return (
        f"{sentence}, which ends with the smallest set. Mine the same number of each "
        "(mine_training_data --each N)."
    )


def _add_reference_options(parser: CommandParser) -> None:
    add = parser.add_argument_group("hyperparameters of the model card").add_argument
    add("--epochs", type=float, default=DEFAULTS.epochs, metavar="N", help="(default %(default)g)")
    add(
        "--batch-size", type=int, default=DEFAULTS.batch_size, metavar="N",
        help="(default %(default)d)",
    )  # fmt: skip
    add(
        "--learning-rate", type=float, default=DEFAULTS.learning_rate, metavar="R",
        help="(default %(default)g)",
    )  # fmt: skip
    add(
        "--margin", type=float, default=DEFAULTS.margin, metavar="M",
        help="of TripletLoss, in Euclidean distance (default %(default)g, which no triplet of unit "
        "vectors reaches: docs/training.md)",
    )  # fmt: skip
    add("--seed", type=int, default=DEFAULTS.seed, metavar="S", help="(default %(default)d)")


def _add_interpolation_option(parser: CommandParser) -> None:
    parser.add_argument_group("weight interpolation").add_argument(
        "--interpolate", "--blend", type=float, default=DEFAULTS.interpolation_alpha,
        metavar="ALPHA",
        help="share of the fine-tuned weights against the base's, above 0 and up to the model "
        "card's 1 (default %(default)g: more postings can be decided automatically, "
        "docs/training.md)",
    )  # fmt: skip


def _add_further_options(parser: CommandParser) -> None:
    add = parser.add_argument_group("not in the model card, off by default").add_argument
    add("--max-tokens", type=int, metavar="N", help="truncate training texts")
    add("--warmup", type=float, default=DEFAULTS.warmup, metavar="SHARE", help="share of the steps")
    add(
        "--embeddings", choices=("auto", "freeze", "train"), default=DEFAULTS.embeddings,
        help="the word embeddings; auto: freeze on a CPU, train on a GPU",
    )  # fmt: skip
    add(
        "--matryoshka", metavar="N,N", default="",
        help="train prefixes of these sizes to be vectors by themselves, as 256,128",
    )  # fmt: skip
    add(
        "--gradcache-mini-batch-size", "--cached", type=int, metavar="ROWS",
        help="rows of pairs per forward pass, for large batches (GradCache)",
    )  # fmt: skip
    add(
        "--hard-negatives", action="store_true",
        help="give each pair the nearest text of another category, by the base",
    )  # fmt: skip
    add("--lora", type=int, metavar="RANK", help="low-rank adapters, merged at the end")
    add("--bf16", action="store_true", help="bfloat16 on a GPU")
    add("--gradient-checkpointing", action="store_true", help="less memory, a third slower")
    add(
        "--patience", type=int, metavar="N",
        help="stop after N of ten evaluations without improvement, and keep the best",
    )  # fmt: skip


def _estimate(base: ModelPath, data: TrainingData, recipe: Recipe, output: Path) -> dict[str, Any]:
    from marketplace_ai.training.run.estimate import estimate_training
    from marketplace_ai.training.run.failures import explain_failure
    from marketplace_ai.training.train import require_packages

    try:
        require_packages()
        return estimate_training(base, data, recipe)
    except EncoderError as error:
        runtime_error(str(error))
    except Exception as error:  # noqa: BLE001 (reported as the failure of a training)
        runtime_error(str(explain_failure(error, recipe, output)))


def _recipe(options: dict[str, Any]) -> Recipe:
    try:
        sizes = tuple(int(size) for size in options["matryoshka"].split(",") if size.strip())
    except ValueError:
        usage_error(f"--matryoshka takes numbers such as 256,128, not {options['matryoshka']!r}.")
    recipe = Recipe(
        epochs=options["epochs"],
        batch_size=options["batch_size"],
        margin=options["margin"],
        learning_rate=options["learning_rate"],
        warmup=options["warmup"],
        seed=options["seed"],
        interpolation_alpha=options["interpolate"],
        max_tokens=options["max_tokens"],
        embeddings=options["embeddings"],
        matryoshka=sizes,
        gradcache_mini_batch_size=options["gradcache_mini_batch_size"],
        hard_negatives=options["hard_negatives"],
        lora=options["lora"],
        bf16=options["bf16"],
        gradient_checkpointing=options["gradient_checkpointing"],
        patience=options["patience"],
    )
    if problems := recipe.problems():
        usage_error(f"{'; '.join(problems)}.".capitalize())
    if recipe.patience is not None and not options["eval_triplets"]:
        usage_error("--patience needs --eval-triplets, on which improvement is measured.")
    return recipe


def _data(options: dict[str, Any]) -> TrainingData:
    from marketplace_ai.training.data.row_checks import usable_rows
    from marketplace_ai.training.data.row_files import read_pairs, read_scored, read_triplets
    from marketplace_ai.training.data.training_data import TrainingData

    left_out: dict[str, int] = {}

    def rows(name: str, read: Callable[..., list[Any]]) -> list[Any]:
        if not options[name]:
            return []
        every = read(options[name], skip_bad=options["skip_bad"])
        used = usable_rows(options[name], every)
        left_out[name] = len(every) - len(used)
        return used

    data = TrainingData(
        rows("triplets", read_triplets),
        rows("pairs", read_pairs),
        rows("scored", read_scored),
        rows("eval_triplets", read_triplets),
        {name: number for name, number in left_out.items() if number},
    )
    if not data.sets:
        usage_error("There is nothing to train on: give --triplets, --pairs or --scored.")
    if leaked := data.leaked():
        usage_error(
            f"{len(leaked)} texts of --eval-triplets, or near-duplicates of them, are also in the "
            f"training files, so the test would prove nothing; the first is {leaked[0][:60]!r}. "
            "Mine both with one run of mine_training_data, which keeps them apart."
        )
    return data


def _check_output(output: Path, *, overwrite: bool) -> None:
    if output.is_file():
        usage_error(f"{output} is a file; give the name of a directory.")
    if not output.is_dir() or not any(output.iterdir()):
        return
    if not (output / training_metadata.FILE_NAME).is_file():
        usage_error(
            f"{output} exists and was not written by train_encoder, so it is not replaced: give "
            "another --output."
        )
    if not overwrite:
        usage_error(f"{output} exists: give another --output, or --overwrite to replace it.")


@contextmanager
def _progress_bar(
    epoch: EpochPlan, recipe: Recipe, *, quiet: bool
) -> Iterator[Callable[[TrainingProgress], None]]:
    """A progress bar over the steps, with the loss; yields what ``train`` calls after each."""
    with progress("Training", math.ceil(epoch.steps * recipe.epochs), quiet=quiet) as advance:
        last_step = 0

        def report(state: TrainingProgress) -> None:
            nonlocal last_step
            note = "" if state.loss is None else f"loss {state.loss:.3f}"
            advance(state.step - last_step, note)
            last_step = state.step

        yield report
