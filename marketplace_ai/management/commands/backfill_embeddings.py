from __future__ import annotations

import datetime as dt
import time
from typing import Any

from django.core.management.base import CommandParser

from marketplace_ai.adapter import get_adapter
from marketplace_ai.management.console import DatabaseCommand, fail, print_json, progress, refuse
from marketplace_ai.models import Encoder, JobChange, PendingJob, Priority
from marketplace_ai.queue import backfill, health

#: Seconds between two looks at a queue that is being worked off.
LOOK_SECONDS = 0.5


class Command(DatabaseCommand):
    help = (
        "Queue postings that have no vector of the active encoder, behind all fresh ones; "
        "workers then give them a vector and decide them, except where a person's category "
        "stands: that is kept, and the proposal only recorded. "
        "Counts first; stopped anywhere, it can simply be run again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--encoder", metavar="NAME", help="the active encoder (default)")
        parser.add_argument("--since", metavar="DATE", help="only postings created from then on")
        parser.add_argument("--limit", type=int, metavar="N", help="at most N postings")
        parser.add_argument(
            "--vectors-only", action="store_true", help="no decisions: vectors for searching"
        )
        parser.add_argument("--dry-run", action="store_true", help="count, queue nothing")
        parser.add_argument("--wait", action="store_true", help="show it being worked off")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        started = time.monotonic()
        encoder = self._encoder(options["encoder"])
        limit = options["limit"]
        if limit is not None and limit < 1:
            refuse(f"--limit must be 1 or more, not {limit}.")
        jobs = backfill.missing(encoder, self._since(options["since"]))
        total = jobs.count()
        if limit is not None:
            total = min(total, limit)
        quiet = options["json"]
        queued = 0
        if not options["dry_run"]:
            unnamed = list(JobChange.objects.filter(job__isnull=True).values_list("pk", flat=True))
            with progress("Queueing", total, quiet=quiet) as advance:
                queued = backfill.run(
                    jobs, limit=limit, vectors_only=options["vectors_only"], progress=advance
                )
            partly = limit is not None or options["since"] is not None or options["vectors_only"]
            if unnamed and not partly:
                # A trigger could not name what changed: it may be any text.
                with progress("Comparing texts", None, quiet=quiet) as advance:
                    queued += backfill.run_changed(encoder, progress=advance)
                JobChange.objects.filter(job__isnull=True, pk__in=unnamed).delete()
            if options["wait"]:
                self._wait(quiet)
        result = {
            "encoder": encoder.name,
            "missing": total,
            "queued": queued,
            "pending": PendingJob.objects.due().filter(priority=Priority.BACKFILL).count(),
            "set_aside": PendingJob.objects.aside().count(),
            "seconds": round(time.monotonic() - started, 2),
        }
        if options["json"]:
            print_json(self, result)
        elif options["dry_run"]:
            self.stdout.write(f"{total:,} postings have no vector of {encoder.name}.")
        else:
            self.stdout.write(f"{queued:,} postings queued for {encoder.name}.")

    def _encoder(self, name: str | None) -> Encoder:
        active = Encoder.objects.active()
        if active is None:
            refuse("There is no encoder yet: start a worker, or run fit_classifier, first.")
        if name is not None and name != active.name:
            refuse(f"{name!r} is not the active encoder; that is {active.name!r}.")
        return active

    def _since(self, value: str | None) -> dt.date | None:
        if value is None:
            return None
        if get_adapter().created_field is None:
            refuse("--since needs created_field in the adapter: when a posting was created.")
        try:
            return dt.date.fromisoformat(value)
        except ValueError:
            refuse(f"--since must be a date such as 2026-01-31, not {value!r}.")

    def _wait(self, quiet: bool) -> None:
        pending = PendingJob.objects.due().filter(priority=Priority.BACKFILL)
        before = pending.count()
        with progress("Encoding", before, quiet=quiet) as advance:
            while before:
                if not health.drainers():
                    fail(
                        "No worker is running; what is queued stays queued. Start a Celery worker "
                        "or run process_pending --drain."
                    )
                time.sleep(LOOK_SECONDS)
                now = pending.count()
                advance(max(before - now, 0))
                before = now
