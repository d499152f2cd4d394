from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from marketplace_ai.encoding import EncoderError
from marketplace_ai.management.console import (
    HelpfulCommand,
    print_json,
    progress,
    runtime_error,
)
from marketplace_ai.management.encoder_options import load_named_encoder
from marketplace_ai.management.skip_bad import add_skip_bad, refuse
from marketplace_ai.text.csv_files import TableError


class Command(HelpfulCommand):
    help = (
        "Triplet accuracy of an encoder: how often an anchor is nearer to its positive than to its "
        "negative. FILE has one JSON object per line with anchor, positive and negative, as in "
        "test_triplets.jsonl of mine_training_data. Nothing is stored; a database is needed only "
        "for the name of a registered encoder."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--encoder", default="bundled", metavar="NAME_OR_DIR",
            help="'bundled' (default), a sentence-transformers directory, a hub id, or the name "
            "of a registered encoder",
        )  # fmt: skip
        parser.add_argument("--triplets", required=True, metavar="FILE", help="held-out triplets")
        add_skip_bad(parser)
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        from marketplace_ai.training.data.row_checks import usable_rows
        from marketplace_ai.training.data.row_files import read_triplets
        from marketplace_ai.training.run.triplet_accuracy import evaluate_triplets

        try:
            rows = read_triplets(options["triplets"], skip_bad=options["skip_bad"])
            triplets = usable_rows(options["triplets"], rows)
        except TableError as error:
            refuse(error, options)
        encoder = load_named_encoder(options["encoder"], self.say)
        texts = len({text for row in triplets for text in row[:3]})
        try:
            with progress("Encoding", texts, quiet=options["json"]) as advance:
                figures = evaluate_triplets(encoder, triplets, advance)
        except EncoderError as error:
            runtime_error(str(error))
        if options["json"]:
            print_json(self, {"encoder": encoder.name, **figures})
            return
        self.stdout.write(f"Triplet accuracy of {encoder.name} on {figures['n']:,} triplets, by")
        for name in ("cosine", "dot", "euclidean", "manhattan"):
            self.stdout.write(f"  {name:<10}{figures[f'{name}_accuracy']:>7.1%}")
