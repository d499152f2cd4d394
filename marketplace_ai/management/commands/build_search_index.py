from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from marketplace_ai.encoders import search_index
from marketplace_ai.management.console import DatabaseCommand, usage_error
from marketplace_ai.management.encoder_options import registered_name
from marketplace_ai.models import Encoder


class Command(DatabaseCommand):
    help = (
        "Build the index for searches over all postings while workers run; an interrupted build is "
        "started over. Best after a backfill."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--encoder", metavar="NAME", help="default: the active one")

    def handle(self, *args: Any, **options: Any) -> None:
        named = options["encoder"]
        found = Encoder.objects.filter(name=registered_name(named)) if named else None
        encoder = found.first() if found is not None else Encoder.objects.active()
        if encoder is None:
            usage_error(f"There is no encoder {named!r}." if named else "No encoder is active yet.")
        try:
            built = search_index.build_search_index(encoder)
        except (ValueError, search_index.ForgottenLockError) as error:
            usage_error(str(error))
        what = "is built" if built else "exists already, or is being built elsewhere"
        self.stdout.write(f"The search index of {encoder.name} {what}.")
