from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandParser
from django.db import DatabaseError

from marketplace_ai.management.console import (
    DatabaseCommand,
    HelpfulCommand,
    print_json,
    progress,
    runtime_error,
    usage_error,
)
from marketplace_ai.management.skip_bad import add_skip_bad, refuse
from marketplace_ai.text.csv_files import TableError
from marketplace_ai.text.normalize import one_line

if TYPE_CHECKING:
    from marketplace_ai.training.data.corpus import LabeledCorpus
    from marketplace_ai.training.data.mining import MinedDataset

HELP = """\
Makes training data for train_encoder from labeled texts: the active exemplars in the database and
the corrections that people made, or the rows of --from FILE. Needs neither an encoder nor a GPU.
DIR gets

  triplets.jsonl       anchor, positive, negative: two texts of one category and one of another,
                       half of the time of a category that it is confused with
  pairs.jsonl          anchor, positive: two texts of one category
  scored.jsonl         sentence1, sentence2, score: from nothing in common to the same category
  test_triplets.jsonl  triplets of held-out texts, for evaluate_encoder
  train_rows.csv       the labeled texts of the training side, for evaluate_classifier
  test_rows.csv        the same of the held-out side
  README.md            the data card: counts, samples, and how each file was made

No held-out text, nor another of its family, gets into a training file; the files are checked for
that, and nothing is written if the check fails. The same texts and --seed give the same files.
"""

EXAMPLES = """\
examples:
  manage.py mine_training_data --out data
  manage.py mine_training_data --out data --from exemplars.csv --catalog catalog.csv --json

Exit code 0: the files were written; 1: the mining failed; 2: bad usage or bad input.
"""


class Command(HelpfulCommand, DatabaseCommand):
    help = HELP
    examples = EXAMPLES
    # With --from neither the models nor the database are used.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("--out", required=True, metavar="DIR", help="directory for the files")
        add(
            "--from", dest="file", metavar="FILE",
            help="table (CSV or .xlsx) with text (or title and description) and category ('none': "
            "fits no category), optionally parent",
        )  # fmt: skip
        add(
            "--catalog", metavar="FILE",
            help="categories and their parents for --from: CSV with slug,parent, as for "
            "import_catalog; default: the file's column parent, else the tree in the database",
        )  # fmt: skip
        add("--each", type=int, default=8000, metavar="N", help="rows of each file (default 8000)")
        add(
            "--test-share", type=float, default=0.2, metavar="P",
            help="share of each category's texts to hold out (default 0.2)",
        )  # fmt: skip
        add("--seed", type=int, default=0, metavar="S", help="of the sampling (default 0)")
        add("--force", action="store_true", help="replace an earlier dataset in DIR")
        add_skip_bad(parser)
        add("--json", action="store_true", help="print one JSON object with the counts")

    def handle(self, *args: Any, **options: Any) -> None:
        # Imported here, so that --help and a mistyped option cost nothing.
        from marketplace_ai.training.data import dataset_dir, mining
        from marketplace_ai.training.data.corpus import MiningError
        from marketplace_ai.training.data.leaks import LeakError

        _check(options)
        out = Path(options["out"]).expanduser()
        quiet = options["json"]
        try:
            dataset_dir.check_directory(out, force=options["force"])
            dataset = mining.mine_dataset(
                self._corpus(options),
                each=options["each"],
                test_share=options["test_share"],
                seed=options["seed"],
                progress=lambda title, total: progress(title, total, quiet=quiet),
            )
        except (TableError, dataset_dir.DatasetDirError) as error:
            refuse(error, options)
        except MiningError as error:
            (usage_error if options["file"] else runtime_error)(str(error))
        try:
            num_compared = dataset_dir.save_dataset(
                dataset, out, seed=options["seed"], test_share=options["test_share"]
            )
        except (LeakError, dataset_dir.DatasetDirError) as error:
            runtime_error(str(error))
        figures = {"out": str(out), **_figures(dataset), "compared": num_compared}
        if options["json"]:
            print_json(self, {**figures, "seed": options["seed"]})
        else:
            self.stdout.write(_summary(figures, dataset, out / dataset_dir.DATA_CARD))

    def _corpus(self, options: dict[str, Any]) -> LabeledCorpus:
        from marketplace_ai.adapter import get_adapter
        from marketplace_ai.exemplars import training_corpus
        from marketplace_ai.training.data.corpus import read_corpus

        if not options["file"]:
            return training_corpus.read_exemplars()
        return read_corpus(
            options["file"],
            catalog=options["catalog"],
            parents=self._parents,
            prepared=get_adapter().prepared,
            skip_bad=options["skip_bad"],
        )

    def _parents(self) -> dict[str, str | None]:
        """The category tree in the database; empty if there is no database."""
        from marketplace_ai.exemplars import training_corpus

        try:
            return training_corpus.category_parents()
        except DatabaseError:
            self.stderr.write(
                "The parents of the categories are unknown, so scored pairs have two scores, not "
                "three: give --catalog FILE, or a column parent.",
                style_func=str,
            )
            return {}


def _check(options: dict[str, Any]) -> None:
    if options["each"] < 1:
        usage_error(f"--each must be 1 or more, not {options['each']}.")
    if not 0 < options["test_share"] < 1:
        usage_error(f"--test-share must lie between 0 and 1, not {options['test_share']}.")
    if options["seed"] < 0:
        usage_error(f"--seed must be 0 or more, not {options['seed']}.")
    if options["catalog"] and not options["file"]:
        usage_error("--catalog needs --from FILE, whose categories it describes.")


def _figures(dataset: MinedDataset) -> dict[str, Any]:
    corpus = dataset.corpus
    num_held_out = int(dataset.held_out.sum())
    return {
        "triplets": len(dataset.triplets),
        "pairs": len(dataset.pairs),
        "scored": len(dataset.scored),
        "test_triplets": len(dataset.test_triplets),
        "texts": {
            "learnt_from": len(corpus) - num_held_out,
            "held_out": num_held_out,
            "none": corpus.labels.count(None),
            "left_out": len(corpus.ambiguous),
        },
        "categories": len(set(corpus.labels) - {None}),
        "corrections": sum(corpus.confusions.values()),
        "source_sha256": corpus.sha256,
        "left_out": corpus.left_out.as_json(),
        "notes": list(dataset.notes),
    }


def _summary(figures: dict[str, Any], dataset: MinedDataset, card: Path) -> str:
    texts = figures["texts"]
    lines = [
        f"{figures['triplets']:,} triplets, {figures['pairs']:,} pairs and {figures['scored']:,} "
        f"scored pairs from {texts['learnt_from']:,} texts; {figures['test_triplets']:,} test "
        f"triplets from {texts['held_out']:,} held-out texts.",
        *figures["notes"],
        f"Leak check: {figures['compared']:,} texts compared, no held-out text in a training file.",
        f"Data card: {card}",
    ]
    if ambiguous := dataset.corpus.ambiguous:
        lines.insert(
            1,
            f"{len(ambiguous):,} texts with several labels were left out; the first is "
            f"{one_line(ambiguous[0])[:60]!r}.",
        )
    return "\n".join(lines)
