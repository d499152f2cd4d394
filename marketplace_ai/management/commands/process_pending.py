from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandParser

from marketplace_ai.encoding import EncoderError
from marketplace_ai.management.console import DatabaseCommand, fail, progress
from marketplace_ai.models import PendingJob

if TYPE_CHECKING:
    from marketplace_ai.queue.write import Written


class Command(DatabaseCommand):
    help = (
        "Give pending postings their vectors and categories, in this process, until stopped "
        "by SIGTERM or Ctrl-C (the batch in hand is finished). Needs PostgreSQL only. A Celery "
        "worker keeps one of these running by itself."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--drain", action="store_true", help="end when nothing is left to do")
        parser.add_argument(
            "--parent", type=int, metavar="PID", help="end when this process is not the parent"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        # Imported here: they bring the encoder's libraries, which --help can do without.
        from marketplace_ai.pipeline import Pipeline
        from marketplace_ai.worker.loop import Drainer, handle_signals

        total = PendingJob.objects.due().count() if options["drain"] else None
        with progress("Postings", total or None, quiet=not options["drain"]) as advance:

            def count(written: Written) -> None:
                advance(written.decided or written.vectors)

            drainer = Drainer(Pipeline(), parent=options["parent"], on_batch=count)
            handle_signals(drainer)
            try:
                drainer.run(until_empty=options["drain"])
            except EncoderError as error:
                fail(str(error))
