from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING, Any

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
from marketplace_ai.models import Encoder, EncoderState, Priority, QueuedPosting, TableScan
from marketplace_ai.queue import backfill, heartbeat, orphaned_postings, postponed, scans

if TYPE_CHECKING:
    from django.db.models import QuerySet

#: Seconds between two updates of the progress bar.
UPDATE_SECONDS = 0.5


class Command(DatabaseCommand):
    help = (
        "Queue postings that have no vector of the active encoder, or were decided for a category "
        "that was deleted since, behind all fresh ones. Workers "
        "encode and decide them; a category that a person set is kept, and the proposal is only "
        "recorded. The command counts first, then stores a request: running workers queue a "
        "thousand postings at a time, even if this command or one of them is stopped. Run it again "
        "to resume the stored request."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--encoder", metavar="NAME",
            help="a candidate encoder (vectors only); default: the active encoder",
        )  # fmt: skip
        parser.add_argument(
            "--since", metavar="DATE", help="only postings created on or after this date"
        )
        parser.add_argument("--limit", type=int, metavar="N", help="at most N postings")
        parser.add_argument(
            "--vectors-only", action="store_true", help="vectors for searching, without decisions"
        )
        parser.add_argument("--dry-run", action="store_true", help="count, and queue nothing")
        parser.add_argument(
            "--wait", action="store_true", help="wait until the backfill is done, and show progress"
        )
        parser.add_argument(
            "--stop", action="store_true",
            help="stop the backfill; the same command without --stop resumes it",
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
        scan, queued = None, 0
        if not options["dry_run"]:
            vectors_only = options["vectors_only"] or encoder.state != EncoderState.ACTIVE
            scan, _is_new = backfill.request(
                encoder, since=since, at_most=limit, vectors_only=vectors_only,
                total=total, estimated=estimated,
            )  # fmt: skip
            before = scan.queued_count
            self._begin(encoder, scan, quiet=options["json"])
            if options["wait"]:
                self._wait(encoder, scan, quiet=options["json"])
            queued = scan.queued_count - before
        result = {
            "encoder": encoder.name,
            "missing": total,
            "estimated": estimated,
            "queued": queued,
            "all_queued": scan is not None and scan.finished_at is not None,
            "pending": backfill.queued_rows(encoder).count(),
            "set_aside": QueuedPosting.objects.failed()
            .filter(encoder=backfill.queue_encoder_id(encoder))
            .count(),
            "seconds": round(time.monotonic() - started, 2),
        }
        about = "About " if estimated else ""
        if options["json"]:
            print_json(self, result)
        elif scan is None:
            self.stdout.write(f"{about}{total:,} postings have no vector of {encoder.name}.")
            if encoder.state == EncoderState.ACTIVE and not options["vectors_only"]:
                self._tell_of_deleted_categories()
        elif scan.finished_at:
            self.stdout.write(f"{queued:,} postings queued for {encoder.name}.")
        else:
            self.stdout.write(
                f"{queued:,} postings queued for {encoder.name}; of {about.lower()}{total:,} the "
                "workers queue the rest as they go (--wait shows it, --stop stops it)."
            )
        return None

    def _tell_of_deleted_categories(self) -> None:
        """Their postings are counted too, and have vectors."""
        count, is_all = orphaned_postings.count_forgotten()
        if count:
            self.stdout.write(
                f"{count:,}{'' if is_all else ' or more'} of these have one, and were decided for "
                "a category that was deleted since."
            )

    def _encoder(self, name: str | None) -> Encoder:
        active = Encoder.objects.active()
        if active is None:
            usage_error("There is no encoder yet: start a worker, or run fit_classifier, first.")
        if name is None or (name := registered_name(name)) == active.name:
            return active
        encoder = Encoder.objects.candidates().filter(name=name).first()
        if encoder is None:
            usage_error(
                f"{name!r} is neither the active encoder ({active.name!r}) nor a candidate. Run "
                "manage.py encoders to list them."
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
                f"{stopped} backfills stopped; postings already in the queue are still processed."
            )
        else:
            self.stdout.write("No backfill is under way.")

    def _begin(self, encoder: Encoder, scan: TableScan, *, quiet: bool) -> None:
        """Take the first steps here, as a worker would, until the queue is full enough."""
        with progress("Queueing", scan.total - scan.queued_count, quiet=quiet) as advance:
            while scans.advance(encoder):
                before = scan.queued_count
                scan.refresh_from_db()
                advance(scan.queued_count - before)

    def _wait(self, encoder: Encoder, scan: TableScan, *, quiet: bool) -> None:
        reported, started = 0, time.monotonic()

        def stopped() -> QuerySet[QueuedPosting]:
            return postponed.tried_within(time.monotonic() - started).filter(
                priority=Priority.BACKFILL, encoder=backfill.queue_encoder_id(encoder)
            )

        def count_waiting() -> int:
            rows = backfill.queued_rows(encoder)
            return rows.exclude(pk__in=stopped().values("pk")).count()

        waiting = count_waiting()
        with progress("Encoding", scan.total, quiet=quiet) as advance:
            while waiting or not scan.finished_at:
                if not heartbeat.worker_names():
                    runtime_error(
                        "No worker is running; what is queued stays queued. Start a Celery worker "
                        "or run process_pending --drain."
                    )
                if scan.stopped_at:
                    runtime_error(
                        "The backfill was stopped. Run the same command again to resume it."
                    )
                time.sleep(UPDATE_SECONDS)
                scan.refresh_from_db()
                waiting = count_waiting()
                done = scans.progress(scan, waiting).done
                advance(max(done - reported, 0))
                reported = max(done, reported)
        if complaint := postponed.complaint(stopped()):
            runtime_error(complaint)
