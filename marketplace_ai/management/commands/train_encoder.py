from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandParser

from marketplace_ai.encoding import EncoderError
from marketplace_ai.management.console import HelpfulCommand, runtime_error, print_json, progress, usage_error
from marketplace_ai.management.encoder_options import find_base_model
from marketplace_ai.text.csv_files import TableError
from marketplace_ai.training.model import training_metadata

if TYPE_CHECKING:
    from marketplace_ai.encoding.sources import ModelPath
    from marketplace_ai.training.data.loading import Data, Plan
    from marketplace_ai.training.recipe import Recipe
    from marketplace_ai.training.run.callbacks import Step
    from marketplace_ai.training.train import Trained

HELP = """\
Fine-tunes an encoder by the recipe of a published model card (bge-m3 on Norwegian job titles):
triplets with TripletLoss, pairs with MultipleNegativesRankingLoss and scored pairs with
CoSENTLoss, a batch of each by turns, one epoch. Writes a sentence-transformers directory with a
model card; register_encoder takes it from there. No database is needed.

The files are those of mine_training_data, a JSON object a line; each may be left out, one must
be there. Round robin ends with the smallest set, so give as many rows of each.
"""

EXAMPLES = """\
examples:
  manage.py mine_training_data --out mined
  manage.py train_encoder --triplets mined/triplets.jsonl --pairs mined/pairs.jsonl \\
      --scored mined/scored.jsonl --eval-triplets mined/test_triplets.jsonl \\
      --base bundled --output encoders/v2
  manage.py train_encoder ... --dry-run      what it takes: steps, memory, time

Ctrl-C ends the step, leaves a checkpoint, and --resume goes on from it. Ends with 0 when the
directory is there, 1 where the work fails or was interrupted, 2 on bad usage or bad input.
"""


class Command(HelpfulCommand):
    help = HELP
    examples = EXAMPLES
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("--triplets", metavar="FILE", help="anchor, positive, negative")
        add("--pairs", metavar="FILE", help="anchor, positive; category tells false negatives")
        add("--scored", metavar="FILE", help="sentence1, sentence2, score from 0 to 1")
        add("--eval-triplets", metavar="FILE", help="held-out triplets, measured before and after")
        add(
            "--base", default="bundled", metavar="NAME_OR_DIR",
            help="'bundled' (default), a directory, a hub id, or a registered encoder's name",
        )  # fmt: skip
        add("--output", required=True, metavar="DIR", help="the directory to be made")
        add("--overwrite", action="store_true", help="take the place of a directory that is there")
        add("--resume", action="store_true", help="go on from the checkpoint that Ctrl-C left")
        add("--dry-run", action="store_true", help="say what it takes, train nothing")
        add("--json", action="store_true", help="print one JSON object")
        card = parser.add_argument_group("the card's values")
        card.add_argument("--epochs", type=float, default=1.0, metavar="N", help="(default 1)")
        card.add_argument("--batch-size", type=int, default=32, metavar="N", help="(default 32)")
        card.add_argument(
            "--learning-rate", type=float, default=5e-5, metavar="R", help="(default 5e-5)"
        )
        card.add_argument(
            "--margin", type=float, default=5.0, metavar="M",
            help="of the triplets, in Euclidean distance (default 5, which never closes on unit "
            "vectors: docs/training.md)",
        )  # fmt: skip
        card.add_argument("--seed", type=int, default=42, metavar="S", help="(default 42)")
        safe = parser.add_argument_group("what is kept of it")
        safe.add_argument(
            "--blend", type=float, default=0.5, metavar="SHARE",
            help="how far the weights go from the base's to where training took them, above 0 and "
            "up to the card's 1 (default 0.5: more can be decided without a person, "
            "docs/training.md)",
        )  # fmt: skip
        beyond = parser.add_argument_group("beyond the card, off unless given")
        beyond.add_argument("--max-tokens", type=int, metavar="N", help="of a training text")
        beyond.add_argument(
            "--warmup", type=float, default=0.0, metavar="SHARE", help="of the steps"
        )
        beyond.add_argument(
            "--embeddings", choices=("auto", "freeze", "train"), default="auto",
            help="the table of word embeddings; auto: freeze on a CPU, train on a GPU",
        )  # fmt: skip
        beyond.add_argument(
            "--matryoshka", metavar="N,N", default="",
            help="vectors whose first N values are good vectors as well, as 256,128",
        )  # fmt: skip
        beyond.add_argument(
            "--cached", type=int, metavar="ROWS",
            help="large batches of pairs, of which ROWS go through the model at once",
        )  # fmt: skip
        beyond.add_argument(
            "--hard-negatives", action="store_true",
            help="give each pair the nearest text of another category, by the base",
        )  # fmt: skip
        beyond.add_argument(
            "--lora", type=int, metavar="RANK", help="low-rank adapters, merged at the end"
        )
        beyond.add_argument("--bf16", action="store_true", help="bfloat16 on a GPU")
        beyond.add_argument(
            "--gradient-checkpointing", action="store_true", help="less memory, a third slower"
        )
        beyond.add_argument(
            "--patience", type=int, metavar="N",
            help="stop after N of ten evaluations that were no better; keeps the best",
        )  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        quiet = options["json"]
        recipe = _recipe(options)
        try:
            data = _data(options)
        except TableError as error:
            usage_error(str(error))
        output = Path(options["output"]).expanduser().absolute()
        _check_output(output, overwrite=options["overwrite"])
        from marketplace_ai.training.data.loading import plan

        try:
            used = plan(data, recipe.batch_size)
        except ValueError as error:
            usage_error(f"{error}.")
        base = find_base_model(options["base"], self.say)
        if options["dry_run"]:
            self._tell_estimate(_estimated(base, data, recipe, output), as_json=quiet)
            return
        if not quiet:
            self._tell_plan(data, used, recipe)
        from marketplace_ai.training.train import train

        try:
            with _shown(used, recipe, quiet=quiet) as report:
                trained = train(
                    base, data, recipe, output, resume=options["resume"], report=report,
                    say=(lambda line: None) if quiet else self.say,
                )  # fmt: skip
        except EncoderError as error:
            runtime_error(str(error))
        if trained.interrupted:
            runtime_error("Interrupted; a checkpoint was left. The same command with --resume goes on.")
        if quiet:
            print_json(self, {"output": str(output), **trained.figures})
        else:
            self._tell(trained)

    def _tell_plan(self, data: Data, used: Plan, recipe: Recipe) -> None:
        rows = ", ".join(f"{len(rows):,} {name}" for name, rows in data.sets.items())
        self.say(
            f"{rows}: {used.steps:,} steps an epoch, by turns, {used.batches:,} batches of each."
        )
        for name, number in used.unused.items():
            if number > recipe.batch_size:
                self.say(
                    f"{number:,} of the {name} stay unused in an epoch: the turns end with the "
                    "smallest set. Mine as many rows of each (mine_training_data --each N)."
                )

    def _tell(self, trained: Trained) -> None:
        figures = trained.figures
        self.stdout.write(
            f"{figures['steps']:,} steps in {figures['seconds']:,.0f} s. The encoder is in "
            f"{trained.output}."
        )
        if figures["after"]:
            before, after = (figures[when]["cosine_accuracy"] for when in ("before", "after"))
            self.stdout.write(
                f"Triplet accuracy by cosine: {before:.1%} before, {after:.1%} after."
            )
        self.stdout.write(f"Next: manage.py register_encoder NAME --path {trained.output}")

    def _tell_estimate(self, found: dict[str, Any], *, as_json: bool) -> None:
        if as_json:
            print_json(self, found)
            return
        from marketplace_ai.training.run.estimate import lines

        for line in lines(found):
            self.stdout.write(line)


def _estimated(base: ModelPath, data: Data, recipe: Recipe, output: Path) -> dict[str, Any]:
    from marketplace_ai.training.run.estimate import estimate
    from marketplace_ai.training.train import explained, require_packages

    try:
        require_packages()
        return estimate(base, data, recipe)
    except EncoderError as error:
        runtime_error(str(error))
    except Exception as error:  # noqa: BLE001 (whatever it is, it is said as of a training)
        runtime_error(str(explained(error, recipe, output)))


def _recipe(options: dict[str, Any]) -> Recipe:
    from marketplace_ai.training.recipe import Recipe

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
        blend=options["blend"],
        max_tokens=options["max_tokens"],
        embeddings=options["embeddings"],
        matryoshka=sizes,
        cached=options["cached"],
        hard_negatives=options["hard_negatives"],
        lora=options["lora"],
        bf16=options["bf16"],
        gradient_checkpointing=options["gradient_checkpointing"],
        patience=options["patience"],
    )
    if problems := recipe.problems():
        usage_error(f"{'; '.join(problems)}.".capitalize())
    if recipe.patience is not None and not options["eval_triplets"]:
        usage_error("--patience needs --eval-triplets: what is to become no better.")
    return recipe


def _data(options: dict[str, Any]) -> Data:
    from marketplace_ai.training.data.datasets import read_pairs, read_scored, read_triplets
    from marketplace_ai.training.data.loading import Data

    def rows(name: str, read: Callable[[str], list[Any]]) -> list[Any]:
        return read(options[name]) if options[name] else []

    data = Data(
        rows("triplets", read_triplets),
        rows("pairs", read_pairs),
        rows("scored", read_scored),
        rows("eval_triplets", read_triplets),
    )
    if not data.sets:
        usage_error("There is nothing to learn from: give --triplets, --pairs or --scored.")
    if leaked := data.leaked():
        usage_error(
            f"{len(leaked)} texts of --eval-triplets are learned from as well, so they would "
            f"prove nothing; the first is {leaked[0][:60]!r}. Mine both with one "
            "mine_training_data, which keeps them apart."
        )
    return data


def _check_output(output: Path, *, overwrite: bool) -> None:
    if output.is_file():
        usage_error(f"{output} is a file; give the name of a directory to be made.")
    if not output.is_dir() or not any(output.iterdir()):
        return
    if not (output / training_metadata.NAME).is_file():
        usage_error(
            f"{output} is there, and was not made by train_encoder, so it is not replaced: give "
            "another --output."
        )
    if not overwrite:
        usage_error(f"{output} is there already: give another --output, or --overwrite to replace it.")


@contextmanager
def _shown(used: Plan, recipe: Recipe, *, quiet: bool) -> Iterator[Callable[[Step], None]]:
    """The steps as a bar with the loss; nothing before the first is done."""
    import math

    steps = math.ceil(used.steps * recipe.epochs)
    with progress("Training", steps, quiet=quiet) as advance:
        shown = 0

        def report(step: Step) -> None:
            nonlocal shown
            advance(step.step - shown, "" if step.loss is None else f"loss {step.loss:.3f}")
            shown = step.step

        yield report
