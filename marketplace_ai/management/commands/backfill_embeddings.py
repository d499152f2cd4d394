from __future__ import annotations

import datetime as dt
import time
from typing import Any

from django.core.management.base import CommandParser

from marketplace_ai.adapter import get_adapter
from marketplace_ai.management.console import (
    DatabaseCommand,
    print_json,
    progress,
    runtime_error,
    usage_error,
)
from marketplace_ai.management.encoder_options import registered_name
from marketplace_ai.models import Encoder, EncoderState, QueuedPosting, TableScan
from marketplace_ai.queue import backfill, scans, stats

#: Seconds between two looks at a backfill that is being worked off.
LOOK_SECONDS = 0.5


class Command(DatabaseCommand):
    help = (
        "Have postings that have no vector of the active encoder taken in, behind all fresh ones: "
        "workers give them a vector and decide them, except where a person's category "
        "stands: that is kept, and the proposal only recorded. "
        "Counts first, then leaves a request: running workers queue a thousand at a time, "
        "wherever this command, or any of them, was stopped. Run again, it goes on with the "
        "request that is there."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--encoder", metavar="NAME",
            help="an encoder beside the active one (vectors only); default: the active one",
        )  # fmt: skip
        parser.add_argument("--since", metavar="DATE", help="only postings created from then on")
        parser.add_argument("--limit", type=int, metavar="N", help="at most N postings")
        parser.add_argument(
            "--vectors-only", action="store_true", help="no decisions: vectors for searching"
        )
        parser.add_argument("--dry-run", action="store_true", help="count, queue nothing")
        parser.add_argument("--wait", action="store_true", help="show it being worked off")
        parser.add_argument(
            "--stop", action="store_true",
            help="stop where it is; the same command without --stop goes on from there",
        )  # fmt: skip
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        started = time.monotonic()
        encoder = self._encoder(options["encoder"])
        limit = options["limit"]
        if limit is not None and limit < 1:
            usage_error(f"--limit must be 1 or more, not {limit}.")
        since = self._since(options["since"])
        if options["stop"]:
            return self._stop(encoder, as_json=options["json"])
        total, estimated = backfill.count(encoder, since, vectors_only=options["vectors_only"])
        if limit is not None:
            total = min(total, limit)
        walk, queued = None, 0
        if not options["dry_run"]:
            vectors_only = options["vectors_only"] or encoder.state != EncoderState.ACTIVE
            walk, _is_new = backfill.request(
                encoder, since=since, at_most=limit, vectors_only=vectors_only,
                total=total, estimated=estimated,
            )  # fmt: skip
            before = walk.queued_count
            self._begin(encoder, walk, quiet=options["json"])
            if options["wait"]:
                self._wait(encoder, walk, quiet=options["json"])
            queued = walk.queued_count - before
        result = {
            "encoder": encoder.name,
            "missing": total,
            "estimated": estimated,
            "queued": queued,
            "all_queued": walk is not None and walk.finished_at is not None,
            "pending": backfill.queued_rows(encoder).count(),
            "set_aside": QueuedPosting.objects.failed()
            .filter(encoder=backfill.queue_encoder_id(encoder))
            .count(),
            "seconds": round(time.monotonic() - started, 2),
        }
        about = "About " if estimated else ""
        if options["json"]:
            print_json(self, result)
        elif walk is None:
            self.stdout.write(f"{about}{total:,} postings have no vector of {encoder.name}.")
        elif walk.finished_at:
            self.stdout.write(f"{queued:,} postings queued for {encoder.name}.")
        else:
            self.stdout.write(
                f"{queued:,} postings queued for {encoder.name}; of {about.lower()}{total:,} the "
                "workers queue the rest as they go (--wait shows it, --stop stops it)."
            )
        return None

    def _encoder(self, name: str | None) -> Encoder:
        active = Encoder.objects.active()
        if active is None:
            usage_error("There is no encoder yet: start a worker, or run fit_classifier, first.")
        if name is None or (name := registered_name(name)) == active.name:
            return active
        encoder = Encoder.objects.candidates().filter(name=name).first()
        if encoder is None:
            usage_error(
                f"{name!r} is neither the active encoder ({active.name!r}) nor one beside it. Run "
                "manage.py encoders to see those there are."
            )
        return encoder

    def _since(self, value: str | None) -> dt.date | None:
        if value is None:
            return None
        if get_adapter().created_field is None:
            usage_error("--since needs created_field in the adapter: when a posting was created.")
        try:
            return dt.date.fromisoformat(value)
        except ValueError:
            usage_error(f"--since must be a date such as 2026-01-31, not {value!r}.")

    def _stop(self, encoder: Encoder, *, as_json: bool) -> None:
        stopped = backfill.stop(encoder)
        if as_json:
            print_json(self, {"encoder": encoder.name, "stopped": stopped})
        elif stopped:
            self.stdout.write(
                f"{stopped} backfills stopped; what is in the queue already is still worked off."
            )
        else:
            self.stdout.write("No backfill is under way.")

    def _begin(self, encoder: Encoder, walk: TableScan, *, quiet: bool) -> None:
        """Go the first steps here, as a worker does: until the queue holds enough of it."""
        with progress("Queueing", walk.total - walk.queued_count, quiet=quiet) as advance:
            while scans.advance(encoder):
                before = walk.queued_count
                walk.refresh_from_db()
                advance(walk.queued_count - before)

    def _wait(self, encoder: Encoder, walk: TableScan, *, quiet: bool) -> None:
        shown = 0
        waiting = backfill.queued_rows(encoder).count()
        with progress("Encoding", walk.total, quiet=quiet) as advance:
            while waiting or not walk.finished_at:
                if not stats.worker_names():
                    runtime_error(
                        "No worker is running; what is queued stays queued. Start a Celery worker "
                        "or run process_pending --drain."
                    )
                if walk.stopped_at:
                    runtime_error(
                        "The backfill was stopped. Run the same command again to go on with it."
                    )
                time.sleep(LOOK_SECONDS)
                walk.refresh_from_db()
                waiting = backfill.queued_rows(encoder).count()
                done = scans.progress(walk, waiting).done
                advance(max(done - shown, 0))
                shown = max(done, shown)
