from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandParser

from marketplace_ai.db.error_kind import DATABASE_ERRORS, describe_with_cure
from marketplace_ai.encoding import EncoderError
from marketplace_ai.management.console import DatabaseCommand, progress, runtime_error, usage_error
from marketplace_ai.management.encoder_options import registered_name
from marketplace_ai.models import Encoder, QueuedPosting

if TYPE_CHECKING:
    from marketplace_ai.queue.write import Written


class Command(DatabaseCommand):
    help = (
        "Run a worker in this process: encode and classify queued postings until stopped by "
        "SIGTERM or Ctrl-C (the current batch is finished first). Needs only PostgreSQL. A Celery "
        "worker starts and supervises one of these by itself."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--drain", action="store_true",
            help="exit when the queue is empty, or with 1 and a sentence where only you can help",
        )  # fmt: skip
        parser.add_argument(
            "--encoder", metavar="NAME",
            help="work only for this candidate, for example on a second GPU, while it is one",
        )  # fmt: skip
        parser.add_argument(
            "--parent", type=int, metavar="PID", help="exit when the parent process is not PID"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        # Imported here because they load the encoder's libraries, which --help does not need.
        from marketplace_ai.serving.active_model import ModelLoader
        from marketplace_ai.worker.loop import Worker, handle_signals

        only = None if options["encoder"] is None else _candidate(options["encoder"])
        due = QueuedPosting.objects.remaining()
        if only is not None:
            due = due.filter(encoder=only)
        total = due.count() if options["drain"] else None
        with progress("Postings", total or None, quiet=not options["drain"]) as advance:

            def count(written: Written) -> None:
                advance(written.decided or written.vectors)

            worker = Worker(
                ModelLoader(),
                parent=options["parent"],
                on_batch=count,
                only=None if only is None else only.pk,
            )
            handle_signals(worker)
            try:
                worker.run(until_empty=options["drain"])
            except EncoderError as error:
                runtime_error(str(error))
            except DATABASE_ERRORS as error:
                runtime_error(describe_with_cure(error))
        if options["drain"] and not worker.stopping and (left := worker.unfinished()):
            runtime_error(" ".join(left))
        if only is not None:
            only.refresh_from_db()
            if options["drain"] and only.last_error:
                runtime_error(f"The encoder {only.name!r} was not built. {only.last_error}")


def _candidate(name: str) -> Encoder:
    encoder = Encoder.objects.candidates().filter(name=registered_name(name)).first()
    if encoder is None:
        usage_error(
            f"{name!r} is not a candidate encoder. Run manage.py encoders to list them; the active "
            "encoder needs no --encoder."
        )
    return encoder
