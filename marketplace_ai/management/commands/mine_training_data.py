from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandParser
from django.db import DatabaseError

from marketplace_ai.management.console import (
    DatabaseCommand,
    HelpfulCommand,
    runtime_error,
    print_json,
    progress,
    usage_error,
)
from marketplace_ai.text.csv_files import TableError

if TYPE_CHECKING:
    from marketplace_ai.training.data.labeled_texts import TrainingRows
    from marketplace_ai.training.data.mining import Mined

HELP = """\
Makes what train_encoder learns from, out of labelled texts: the database's active exemplars,
with the corrections that people made, or those of --from FILE. Neither an encoder nor a GPU is
needed. Into DIR go

  triplets.jsonl       anchor, positive, negative: two texts of one category and one of another,
                       half of the time of one that it is confused with
  pairs.jsonl          anchor, positive: two texts of one category
  scored.jsonl         sentence1, sentence2, score: from the same category to nothing in common
  test_triplets.jsonl  the same as the first of texts that are held out, for evaluate_encoder
  train_rows.csv       the labelled texts of both sides, for evaluate_classifier
  test_rows.csv
  README.md            the data card: counts, samples, and how each was made

No held-out text, and none that says nearly the same, gets into a file that is learnt from:
this is checked at the end, and nothing is written where it fails. The same rows and the same
--seed give the same files.
"""

EXAMPLES = """\
examples:
  manage.py mine_training_data --out data
  manage.py mine_training_data --out data --from exemplars.csv --catalog catalog.csv --json

Ends with 0 when the files are written, 1 where the work fails, 2 on bad usage or bad input.
"""


class Command(HelpfulCommand, DatabaseCommand):
    help = HELP
    examples = EXAMPLES
    # With --from the models and the database have no part in it.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("--out", required=True, metavar="DIR", help="folder for the files")
        add(
            "--from", dest="file", metavar="FILE",
            help="CSV in UTF-8 with text (or title and description) and category ('none': fits no "
            "category), optionally parent",
        )  # fmt: skip
        add(
            "--catalog", metavar="FILE",
            help="categories and their parents for --from: CSV with slug,parent, as for "
            "import_catalog; without it the file's column parent, else the database's tree",
        )  # fmt: skip
        add("--each", type=int, default=8000, metavar="N", help="rows of a file (default 8000)")
        add(
            "--test-share", type=float, default=0.2, metavar="P",
            help="share of each category's texts that is held out (default 0.2)",
        )  # fmt: skip
        add("--seed", type=int, default=0, metavar="S", help="of all draws (default 0)")
        add("--force", action="store_true", help="replace what was mined into DIR before")
        add("--json", action="store_true", help="print one JSON object with the counts")

    def handle(self, *args: Any, **options: Any) -> None:
        # Imported here, so that --help and a mistyped option cost nothing.
        from marketplace_ai.training.data import dataset_dir, mining
        from marketplace_ai.training.data.labeled_texts import MiningError
        from marketplace_ai.training.data.leaks import LeakError

        _check(options)
        out = Path(options["out"]).expanduser()
        quiet = options["json"]
        try:
            dataset_dir.check(out, force=options["force"])
            rows = self._rows(options)
            mined = mining.mine(
                rows,
                each=options["each"],
                test_share=options["test_share"],
                seed=options["seed"],
                progress=lambda title, total: progress(title, total, quiet=quiet),
            )
        except (TableError, dataset_dir.FolderError) as error:
            usage_error(str(error))
        except MiningError as error:
            (usage_error if options["file"] else runtime_error)(str(error))
        try:
            compared = dataset_dir.save(
                mined, out, seed=options["seed"], test_share=options["test_share"]
            )
        except (LeakError, dataset_dir.FolderError) as error:
            runtime_error(str(error))
        figures = {"out": str(out), **_figures(mined), "compared": compared}
        if options["json"]:
            print_json(self, {**figures, "seed": options["seed"]})
        else:
            self.stdout.write(_summary(figures, out / dataset_dir.CARD))

    def _rows(self, options: dict[str, Any]) -> TrainingRows:
        from marketplace_ai.adapter import get_adapter
        from marketplace_ai.exemplars import training_rows
        from marketplace_ai.training.data.labeled_texts import from_file

        if not options["file"]:
            return training_rows.read()
        return from_file(
            options["file"],
            catalog=options["catalog"],
            parents=self._parents,
            prepared=get_adapter().prepared,
        )

    def _parents(self) -> dict[str, str | None]:
        """The database's tree, where it can be asked."""
        from marketplace_ai.exemplars import training_rows

        try:
            return training_rows.parents()
        except DatabaseError:
            self.stderr.write(
                "No parents of categories are known, so scored pairs have two scores instead of "
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
        usage_error("--catalog says the parents of --from FILE, which is not given.")


def _figures(mined: Mined) -> dict[str, Any]:
    rows = mined.rows
    held_out = int(mined.held_out.sum())
    return {
        "triplets": len(mined.triplets),
        "pairs": len(mined.pairs),
        "scored": len(mined.scored),
        "test_triplets": len(mined.test_triplets),
        "texts": {
            "learnt_from": len(rows) - held_out,
            "held_out": held_out,
            "none": rows.labels.count(None),
            "left_out": rows.left_out,
        },
        "categories": len(set(rows.labels) - {None}),
        "corrections": sum(rows.confusions.values()),
        "source_sha256": rows.sha256,
        "notes": list(mined.notes),
    }


def _summary(figures: dict[str, Any], card: Path) -> str:
    texts = figures["texts"]
    lines = [
        f"{figures['triplets']:,} triplets, {figures['pairs']:,} pairs and {figures['scored']:,} "
        f"scored pairs of {texts['learnt_from']:,} texts; {figures['test_triplets']:,} test "
        f"triplets of {texts['held_out']:,} others.",
        *figures["notes"],
        f"{figures['compared']:,} texts compared: nothing that is held out can be learnt from.",
        f"Data card: {card}",
    ]
    if texts["left_out"]:
        lines.insert(1, f"{texts['left_out']:,} texts with several answers were left out.")
    return "\n".join(lines)
