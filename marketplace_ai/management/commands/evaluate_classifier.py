from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandParser

from marketplace_ai.encoding import EncoderError
from marketplace_ai.guarantee.target import DEFAULT_TARGET, Target
from marketplace_ai.management.console import (
    HelpfulCommand,
    print_json,
    progress,
    runtime_error,
    usage_error,
)
from marketplace_ai.management.encoder_options import load_named_encoder
from marketplace_ai.management.skip_bad import add_skip_bad, refuse
from marketplace_ai.text.csv_files import TableError

if TYPE_CHECKING:
    from marketplace_ai.evaluation.inputs import Inputs

HELP = """\
How good the deciding is on your own files: fits on --train as fit_classifier would, decides
every row of --test as a worker would, and counts what was right, what would be tagged without
a person, and what simpler rules make of the same rows. Nothing is stored; no database or Redis
is needed.

The files are tables (CSV or .xlsx) with a header line: text (or title and description) and
category; "none" marks a text that fits no category, "a|b" two right answers (in --test either
is right, in the other files the first counts). Optional columns: parent (or give --catalog) for
figures on parents, kind in --test for a breakdown.
"""

EXAMPLES = """\
examples:
  manage.py evaluate_classifier --train exemplars.csv --test labeled.csv --report out
  manage.py evaluate_classifier --train all.csv --train-where split=train \\
      --test all.csv --test-where split=test --shots 8 --seed 1 --json

Ends with 0 when the figures are printed, 1 where the work fails, 2 on bad usage or bad input.
"""


class Command(HelpfulCommand):
    help = HELP
    examples = EXAMPLES
    # The models and the database have no part in it.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("--train", required=True, metavar="FILE", help="exemplars: the texts that vote")
        add("--test", required=True, metavar="FILE", help="labeled texts to be decided")
        add(
            "--calibration", metavar="FILE",
            help="labeled postings as they come in, which fit probabilities and thresholds; "
            "without it the training rows are cross-fitted instead, and the output says so",
        )  # fmt: skip
        for name in ("train", "test", "calibration"):
            add(
                f"--{name}-where", metavar="COLUMN=VALUE",
                help=f"use only those rows of the {name} file, as split={name}",
            )  # fmt: skip
        add("--shots", type=int, metavar="N", help="draw N training rows of each category")
        add("--seed", type=int, default=0, metavar="S", help="of that draw (default 0)")
        add(
            "--catalog", metavar="FILE",
            help="categories and their parents: CSV with slug,parent, as for import_catalog",
        )  # fmt: skip
        add(
            "--encoder", default="bundled", metavar="NAME_OR_DIR",
            help="'bundled' (default), a sentence-transformers directory, a hub id, or the name "
            "of a registered encoder (looked up in the database)",
        )  # fmt: skip
        add(
            "--target-precision", type=float, default=DEFAULT_TARGET.precision, metavar="P",
            help="share of the automatic answers that must be right (default 0.97)",
        )  # fmt: skip
        add(
            "--confidence", type=float, default=DEFAULT_TARGET.confidence_level, metavar="C",
            help="how sure that must be (default 0.95)",
        )  # fmt: skip
        add_skip_bad(parser)
        add("--report", metavar="DIR", help="write report.html and results.json there")
        add("--vectors", metavar="DIR", help="keep the texts' vectors there for the next run")
        add("--json", action="store_true", help="print one JSON object with all figures")

    def handle(self, *args: Any, **options: Any) -> None:
        # Imported here, so that --help and a mistyped option cost nothing.
        from marketplace_ai.evaluation import output, report
        from marketplace_ai.evaluation.evaluate import evaluate
        from marketplace_ai.evaluation.vectors import encode_inputs

        _check_numbers(options)
        folder = Path(options["report"]).expanduser() if options["report"] else None
        kept_in = Path(options["vectors"]).expanduser() if options["vectors"] else None
        try:
            inputs = _inputs(options)
            if folder is not None:
                report.check(folder)
        except (TableError, report.ReportError) as error:
            refuse(error, options)
        encoder = load_named_encoder(options["encoder"], self.say)
        try:
            start = time.perf_counter()
            encoded = encode_inputs(encoder, inputs, kept_in=kept_in, progress=progress)
            result = evaluate(
                *encoded,
                parents=inputs.parents,
                target=Target(options["target_precision"], options["confidence"]),
                encode_seconds=time.perf_counter() - start,
                progress=progress,
            )
        except EncoderError as error:
            runtime_error(str(error))
        except (TableError, ValueError) as error:
            usage_error(str(error))
        given = ("train", "test", "calibration", "catalog", "shots", "seed")
        figures = {
            **result.figures,
            "encoder": {
                "name": encoder.name,
                "weights_hash": encoder.weights_hash,
                "dtype": encoder.dtype,
                "precision": encoder.dtype,  # alias
            },
            "files": {
                name: options[name]
                for name in (*given, "train_where", "test_where", "calibration_where")
                if options[name] is not None
            },
        }
        figures["left_out"] = {
            name: rows.left_out.as_json() for name, rows in inputs.by_name().items()
        }
        if folder is not None:
            try:
                report.write(folder, result, figures)
            except OSError as error:
                runtime_error(f"{folder}: the report cannot be written: {error.strerror}.")
        if options["json"]:
            print_json(self, figures)
        else:
            self.stdout.write(output.summary(figures))
        if folder is not None:
            out = self.stderr if options["json"] else self.stdout
            out.write(f"Report: {folder / report.HTML}")


def _check_numbers(options: dict[str, Any]) -> None:
    for name in ("target_precision", "confidence"):
        if not 0 < options[name] < 1:
            usage_error(
                f"--{name.replace('_', '-')} must lie between 0 and 1, not {options[name]}."
            )
    if options["shots"] is not None and options["shots"] < 1:
        usage_error(f"--shots must be 1 or more, not {options['shots']}.")
    if options["seed"] < 0:
        usage_error(f"--seed must be 0 or more, not {options['seed']}.")
    if options["calibration_where"] and not options["calibration"]:
        usage_error("--calibration-where chooses rows of --calibration, which is not given.")


def _inputs(options: dict[str, Any]) -> Inputs:
    from marketplace_ai.adapter import get_adapter
    from marketplace_ai.evaluation.inputs import Source, read_inputs
    from marketplace_ai.text.labeled_csv import Filter

    def source(name: str) -> Source:
        where = options[f"{name}_where"]
        try:
            return Source(options[name], None if where is None else Filter.parse(where))
        except ValueError as error:
            usage_error(f"--{name}-where: {error}")

    return read_inputs(
        source("train"),
        source("test"),
        source("calibration") if options["calibration"] else None,
        catalog=options["catalog"],
        shots=options["shots"],
        seed=options["seed"],
        prepared=get_adapter().prepared,
        skip_bad=options["skip_bad"],
    )
