from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from marketplace_ai.management.console import (
    DatabaseCommand,
    print_json,
    runtime_error,
    usage_error,
)
from marketplace_ai.models import Encoder


class Command(DatabaseCommand):
    help = (
        "Register an encoder as a candidate. It is loaded and checked here; then workers encode "
        "all postings and exemplars with it whenever the active encoder has nothing to do. It "
        "decides nothing until it is compared and activated."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "name", metavar="NAME", help="the name of the encoder, such as my-model-2"
        )
        parser.add_argument(
            "--path", required=True, metavar="SOURCE",
            help="a sentence-transformers directory that every worker can read, a hub id such as "
            "BAAI/bge-m3, or 'bundled'",
        )  # fmt: skip
        parser.add_argument("--revision", help="of a hub id: a branch, tag or commit")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        # Imported here: they bring the encoder's libraries, which --help can do without.
        from marketplace_ai.encoders import active, register
        from marketplace_ai.encoding import EncoderError

        name, revision = options["name"], options["revision"]
        try:
            register.check_name(name)
            loaded = active.load_checked(options["path"], revision=revision)
            encoder = register.register(name, loaded, revision=revision)
        except register.RegistrationError as error:
            usage_error(str(error))
        except EncoderError as error:
            runtime_error(f"Nothing was registered: {error}")
        same_weights = register.encoders_with_same_weights(encoder)
        if options["json"]:
            print_json(
                self,
                {
                    "encoder": encoder.name,
                    "source": encoder.source,
                    "dimension": encoder.dimension,
                    "dtype": encoder.dtype,
                    "precision": encoder.dtype,  # alias
                    "weights_hash": encoder.weights_hash,
                    "state": encoder.state,
                    "same_weights": [other.name for other in same_weights],
                },
            )
        else:
            self._tell(encoder, same_weights)

    def _tell(self, encoder: Encoder, same_weights: list[Encoder]) -> None:
        self.stdout.write(
            f"{encoder.name} is registered: {encoder.dimension} dimensions, at most "
            f"{encoder.max_tokens:,} tokens of a text, weights {encoder.weights_hash[:12]}."
        )
        for other in same_weights:
            self.stdout.write(f"{other.name} ({other.state}) has the same weights.")
        self.stdout.write(
            "Running workers build it now, after all ordinary work; manage.py encoders shows the "
            f"progress. For a worker that does nothing else: manage.py process_pending --encoder "
            f"{encoder.name}. When it is ready: manage.py activate_encoder {encoder.name}."
        )
