from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import CommandParser

from marketplace_ai.encoders import retire
from marketplace_ai.management.console import (
    DatabaseCommand,
    print_json,
    runtime_error,
    usage_error,
)
from marketplace_ai.management.encoder_options import registered_name
from marketplace_ai.models import Encoder, EncoderState


class Command(DatabaseCommand):
    help = (
        "Retire an encoder that is not active: delete all its vectors and stop making new ones. "
        "This cannot be undone, and the name cannot be used again. If interrupted, run it again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME")
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        encoder = Encoder.objects.filter(name=registered_name(options["name"])).first()
        if encoder is None:
            usage_error(
                f"There is no encoder {options['name']!r}. Run manage.py encoders to see those "
                "there are."
            )
        try:
            retire.check(encoder)
        except retire.RetirementError as error:
            usage_error(str(error))
        stored = retire.count_stored(encoder)
        # An interrupted retirement is finished without asking again.
        begun = encoder.state == EncoderState.RETIRED
        if not begun and not options["yes"]:
            self._ask(encoder, stored)
        if not (begun and stored.is_nothing):
            try:
                retire.retire(encoder, lambda line: self._tell(f"{line} …", options))
            except retire.RetirementError as error:
                runtime_error(str(error))
        if options["json"]:
            print_json(
                self, {"encoder": encoder.name, "state": encoder.state, "deleted": stored.as_dict()}
            )
        elif begun and stored.is_nothing:
            self.stdout.write(f"{encoder.name} was retired before, and nothing is left of it.")
        else:
            self.stdout.write(f"{encoder.name} is retired.")

    def _ask(self, encoder: Encoder, stored: retire.StoredRows) -> None:
        losses = (
            f"Of {encoder.name} ({encoder.state}) will be deleted: about {stored.vectors:,} "
            f"postings' and {stored.exemplars:,} exemplars' vectors, {stored.queued:,} rows of "
            f"the queue and {stored.shadow:,} shadow decisions."
        )
        if not sys.stdin.isatty():
            usage_error(f"{losses} There is no terminal to ask on: give --yes to confirm.")
        self.stdout.write(losses)
        if input("Retire it? [y/N] ").strip().lower() not in ("y", "yes"):
            runtime_error("Nothing was changed.")

    def _tell(self, line: str, options: dict[str, Any]) -> None:
        if not options["json"]:
            self.stderr.write(line, style_func=str)
