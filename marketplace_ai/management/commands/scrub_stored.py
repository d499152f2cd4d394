from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from marketplace_ai.exemplars.rescrub import scrub_exemplars
from marketplace_ai.management.console import DatabaseCommand, print_json, progress
from marketplace_ai.models import Encoder, Exemplar
from marketplace_ai.queue import backfill


class Command(DatabaseCommand):
    help = (
        "Remove personal data that was stored before a scrubbing rule existed. Exemplars are "
        "replaced by scrubbed ones, which workers encode. Postings whose prepared text has changed "
        "since they were encoded are queued behind all fresh ones. The postings themselves are "
        "never changed. After an interruption, run the command again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="count, and change nothing")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        quiet, dry_run = options["json"], options["dry_run"]
        with progress("Exemplars", Exemplar.objects.count(), quiet=quiet) as advance:
            exemplars = scrub_exemplars(dry_run=dry_run, progress=advance)
        postings = 0
        if (encoder := Encoder.objects.active()) is not None:
            with progress("Comparing postings", None, quiet=quiet) as advance:
                postings = backfill.queue_changed_texts(encoder, dry_run=dry_run, progress=advance)
        if options["json"]:
            print_json(
                self, {"exemplars": asdict(exemplars), "postings": postings, "dry_run": dry_run}
            )
            return
        would = "would be " if dry_run else ""
        self.stdout.write(
            f"{exemplars.found:,} of {exemplars.looked_at:,} exemplars {would}scrubbed "
            f"({exemplars.merged:,} of them merged with an equal one, {exemplars.quarantined:,} "
            f"{would}quarantined because nothing was left), {postings:,} postings {would}queued."
        )
        if exemplars.found and not dry_run:
            self.stdout.write(
                "Run manage.py fit_classifier: the active classifier was fitted on the old ones."
            )
