from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from marketplace_ai.encoding import EncoderError
from marketplace_ai.management.console import HelpfulCommand, runtime_error, print_json, progress, usage_error
from marketplace_ai.management.encoder_options import load_named_encoder
from marketplace_ai.text.csv_files import TableError


class Command(HelpfulCommand):
    help = (
        "How often an encoder puts a text nearer to one that says the same than to one that does "
        "not. FILE has a JSON object a line with anchor, positive and negative, as "
        "mine_training_data writes it (test_triplets.jsonl). Nothing is stored; no database is "
        "needed but for the name of a registered encoder."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--encoder", default="bundled", metavar="NAME_OR_DIR",
            help="'bundled' (default), a sentence-transformers directory, a hub id, or the name "
            "of a registered encoder",
        )  # fmt: skip
        parser.add_argument("--triplets", required=True, metavar="FILE", help="held-out triplets")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        from marketplace_ai.training.data.datasets import read_triplets
        from marketplace_ai.training.run.triplet_accuracy import measure

        try:
            triplets = read_triplets(options["triplets"])
        except TableError as error:
            usage_error(str(error))
        encoder = load_named_encoder(options["encoder"], self.say)
        texts = len({text for row in triplets for text in row[:3]})
        try:
            with progress("Encoding", texts, quiet=options["json"]) as advance:
                figures = measure(encoder, triplets, advance)
        except EncoderError as error:
            runtime_error(str(error))
        if options["json"]:
            print_json(self, {"encoder": encoder.name, **figures})
            return
        self.stdout.write(f"{figures['n']:,} triplets, encoder {encoder.name}: positive nearer by")
        for name in ("cosine", "dot", "euclidean", "manhattan"):
            self.stdout.write(f"  {name:<10}{figures[f'{name}_accuracy']:>7.1%}")
