from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandParser

from marketplace_ai.encoding import EncoderError
from marketplace_ai.management.console import DatabaseCommand, progress, runtime_error, usage_error
from marketplace_ai.management.encoder_options import registered_name
from marketplace_ai.models import Encoder, QueuedPosting

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
            "--encoder", metavar="NAME",
            help="work for this candidate alone, as on a second GPU, until it is one no longer",
        )  # fmt: skip
        parser.add_argument(
            "--parent", type=int, metavar="PID", help="end when this process is not the parent"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        # Imported here: they bring the encoder's libraries, which --help can do without.
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
        if only is not None:
            only.refresh_from_db()
            if options["drain"] and only.last_error:
                runtime_error(f"The encoder {only.name!r} was not built. {only.last_error}")


def _candidate(name: str) -> Encoder:
    encoder = Encoder.objects.candidates().filter(name=registered_name(name)).first()
    if encoder is None:
        usage_error(
            f"{name!r} is no encoder beside the active one, for which a worker could be started. "
            "Run manage.py encoders to see those there are; the active one needs no --encoder."
        )
    return encoder
