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

--by-time COLUMN says how long a fit stays good: at up to 6 moments of the past it fits on the
rows of --train before it and decides the rows of --test that came later (of --train itself if
there is no --test), and counts those 0-1, 1-3, 3-6 and more than 6 months later. Without --test
the other figures are of the newest rows, about a fifth. Dates are read as 2026-11-29, with or
without time and zone (a zone is converted to UTC), as 29.11.2026, as 11/29/2026 or 29/11/2026
where the column tells which, or as Excel stores them. A row without a date teaches only.
"""

EXAMPLES = """\
examples:
  manage.py evaluate_classifier --train exemplars.csv --test labeled.csv --report out
  manage.py evaluate_classifier --train all.csv --train-where split=train \\
      --test all.csv --test-where split=test --shots 8 --seed 1 --json
  manage.py evaluate_classifier --train postings.csv --by-time date --report out

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
        add(
            "--test", metavar="FILE",
            help="labeled texts to be decided; with --by-time: where they are not those of --train",
        )  # fmt: skip
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
        add(
            "--by-time", metavar="COLUMN",
            help="the column of dates in all files: how good fits of the past are at later rows",
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
        from marketplace_ai.evaluation import output, report, time_output
        from marketplace_ai.evaluation.by_time import look_back
        from marketplace_ai.evaluation.evaluate import evaluate
        from marketplace_ai.evaluation.time_periods import NoCutError
        from marketplace_ai.evaluation.vectors import encode_inputs

        _check_numbers(options)
        folder = Path(options["report"]).expanduser() if options["report"] else None
        kept_in = Path(options["vectors"]).expanduser() if options["vectors"] else None
        try:
            inputs = _inputs(options)
            if folder is not None:
                report.check(folder)
        except (TableError, report.ReportError, NoCutError) as error:
            refuse(error, options)
        encoder = load_named_encoder(options["encoder"], self.say)
        try:
            start = time.perf_counter()
            encoded = encode_inputs(encoder, inputs, kept_in=kept_in, progress=progress)
            encode_seconds = time.perf_counter() - start
            target = Target(options["target_precision"], options["confidence"])
            by_time = None
            if options["by_time"]:
                by_time = look_back(
                    *encoded, parents=inputs.parents, target=target, progress=progress
                )
                encoded = by_time.files
            result = evaluate(
                *encoded,
                parents=inputs.parents,
                target=target,
                encode_seconds=encode_seconds,
                progress=progress,
            )
        except EncoderError as error:
            runtime_error(str(error))
        except (TableError, ValueError) as error:
            usage_error(str(error))
        options["test"] = options["test"] or options["train"]
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
        if by_time is not None:
            figures["by_time"] = by_time.as_json(options["by_time"])
        if folder is not None:
            try:
                report.write(folder, result, figures, by_time.figures if by_time else None)
            except OSError as error:
                runtime_error(f"{folder}: the report cannot be written: {error.strerror}.")
        if options["json"]:
            print_json(self, figures)
        else:
            self.stdout.write(output.summary(figures))
            if by_time is not None:
                self.stdout.write("\n" + "\n".join(time_output.lines(by_time.figures)))
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
    for name in ("calibration", "test"):
        if options[f"{name}_where"] and not options[name]:
            usage_error(f"--{name}-where chooses rows of --{name}, which is not given.")
    if not options["test"] and not options["by_time"]:
        usage_error(
            "Give --test, the rows that are decided, or --by-time COLUMN to decide the later rows "
            "of --train."
        )
    if options["shots"] is not None and options["by_time"]:
        usage_error("--shots draws rows of any date: leave it out with --by-time.")


def _inputs(options: dict[str, Any]) -> Inputs:
    from marketplace_ai.adapter import get_adapter
    from marketplace_ai.evaluation.inputs import Source, read_inputs
    from marketplace_ai.evaluation.time_periods import choose_cuts
    from marketplace_ai.text.labeled_csv import Filter

    def source(name: str) -> Source:
        where = options[f"{name}_where"]
        try:
            return Source(options[name], None if where is None else Filter.parse(where))
        except ValueError as error:
            usage_error(f"--{name}-where: {error}")

    inputs = read_inputs(
        source("train"),
        source("test") if options["test"] else None,
        source("calibration") if options["calibration"] else None,
        date_column=options["by_time"],
        catalog=options["catalog"],
        shots=options["shots"],
        seed=options["seed"],
        prepared=get_adapter().prepared,
        skip_bad=options["skip_bad"],
    )
    if options["by_time"]:
        # Before anything is encoded.
        choose_cuts(inputs.train.dates, inputs.test.dates, 1)
    return inputs
