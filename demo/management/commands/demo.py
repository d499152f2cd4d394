from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
from dataclasses import asdict
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser
from rich.console import Console

from demo import from_nothing, postings, processes, show
from demo.services import find_running
from demo.services.command import ROOT
from marketplace_ai.management.console import progress, runtime_error, usage_error
from marketplace_ai.models import ClassifierVersion, Encoder
from marketplace_ai.queue import heartbeat

#: Login of the demo's administrator, and on the demo's own server, which only this machine
#: reaches, the password too.
ADMIN = "demo"
#: Width of the table in a log, in characters.
LOG_WIDTH = 110
#: Seconds within which the queue's worker has loaded its libraries and shows itself.
WORKER_SECONDS = 120.0


class Command(BaseCommand):
    help = (
        "Show the whole: a Norwegian home-services marketplace whose new postings tag "
        "themselves. Loads the catalogue, fits the classifier, starts a worker and the web "
        "server, creates sample postings and shows what became of them."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--once", action="store_true", help="on sample postings created anew, then end"
        )
        parser.add_argument("--json", action="store_true", help="the summary as the last line")
        parser.add_argument(
            "--nothing", action="store_true",
            help="begin without an exemplar: proposals from the categories' names and scopes, "
            "then answers to older postings, from which it learns",
        )  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        console = Console(stderr=options["json"])
        if not console.is_terminal:
            console = Console(stderr=options["json"], width=LOG_WIDTH)
        started = time.monotonic()
        ROOT.mkdir(exist_ok=True)
        with contextlib.ExitStack() as stack:
            console.print("Preparing the database …")
            call_command("migrate", verbosity=0)
            # First: it loads its libraries and the encoder while the classifier is fitted.
            worker = stack.enter_context(processes.started(processes.worker(), ROOT / "worker.log"))
            password = self._prepare(console, nothing=options["nothing"])
            port = processes.free_port()
            stack.enter_context(processes.started(processes.web(port), ROOT / "web.log"))
            console.print("Waiting for the Celery worker …")
            self._wait_for_worker(worker)
            if options["once"]:
                postings.remove()
            setup = time.monotonic() - started

            started = time.monotonic()
            samples = postings.existing() or postings.create()
            try:
                with progress(
                    "Tagging (the worker loads the encoder first)", len(samples)
                ) as advance:
                    postings.wait(samples, advance)
            except TimeoutError as error:
                runtime_error(f"{error} See {ROOT / 'worker.log'}.")
            counts, decided = postings.summarize(samples)
            counts.seconds_setup = round(setup, 1)
            counts.seconds_tagging = round(time.monotonic() - started, 1)

            show.table(decided, console)
            show.summary(counts, console)
            steps = self._learn(samples, console) if options["nothing"] else []
            if not options["once"]:
                show.invitation(f"http://127.0.0.1:{port}/", ADMIN, password, console)
                with contextlib.suppress(KeyboardInterrupt):
                    worker.wait()
                console.print("\nStopping …")
        if options["json"]:
            learned = {"steps": [asdict(step) for step in steps]} if steps else {}
            self.stdout.write(json.dumps(counts.as_dict() | learned))

    def _prepare(self, console: Console, *, nothing: bool) -> str:
        """Everything that the sample postings need; the administrator's password to show."""
        data = postings.DATA
        out = console.file
        if nothing and from_nothing.has_labels():
            usage_error(
                "This database has exemplars already, so the demo cannot begin without any. "
                "`make demo NOTHING=1` has a database of its own."
            )
        password = administrator(console, own_server=_on_own_server())
        call_command("import_catalog", str(data / "home_services.csv"), stdout=out)
        if nothing:
            from_nothing.forget()
            console.print("Fitting on the categories' names and scopes alone …")
            call_command("fit_classifier", force=True, stdout=out)
            return password
        call_command("import_exemplars", str(data / "exemplars_nb.csv"), stdout=out)
        if not ClassifierVersion.objects.filter(
            is_active=True, encoder=Encoder.objects.active()
        ).exists():
            console.print("Preparing the encoder and fitting the classifier, once …")
            call_command("fit_classifier", calibration=str(data / "calibration_nb.csv"), stdout=out)
        return password

    def _learn(self, samples: list[postings.Sample], console: Console) -> list[from_nothing.Step]:
        """Answer older postings and show after each fit how the proposals have become better."""
        older = from_nothing.older_postings()
        steps = []
        show.learning_head(len(older), console)
        try:
            with progress("Answering", len(older)) as advance:
                from_nothing.wait_until_idle()
                person = get_user_model().objects.get(username=ADMIN)
                for step in from_nothing.learn(samples, older, person, advance):
                    show.learning_step(step, console)
                    steps.append(step)
        except TimeoutError as error:
            runtime_error(f"{error} See {ROOT / 'worker.log'}.")
        show.learning_end(console)
        return steps

    def _wait_for_worker(self, worker: Any) -> None:
        deadline = time.monotonic() + WORKER_SECONDS
        while not heartbeat.worker_names():
            if worker.poll() is not None or time.monotonic() > deadline:
                runtime_error(f"The worker did not start; see {ROOT / 'worker.log'}.")
            time.sleep(0.1)


def _on_own_server() -> bool:
    """Whether the database is the demo's embedded one and not a server that was named to it."""
    urls = find_running(ROOT)
    return urls is not None and urls.database_url == os.environ.get("DATABASE_URL")


def administrator(console: Console, *, own_server: bool) -> str:
    """Make the demo's administrator where there is none; the password, or where to find it.

    On somebody's own server a password that everyone knows would be an open door: there it is
    random, and said once.
    """
    if not own_server:
        console.print(
            "DATABASE_URL names a server of yours: the demo's categories, exemplars and postings "
            "go there."
        )
    users: Any = get_user_model().objects
    known = users.filter(username=ADMIN).exists()
    if own_server:
        if not known:
            users.create_superuser(ADMIN, password=ADMIN)
        return ADMIN
    if known:
        return f"as it was said when it was made (or: manage.py changepassword {ADMIN})"
    password = secrets.token_urlsafe(12)
    users.create_superuser(ADMIN, password=password)
    console.print(f"Made the administrator {ADMIN} with the password {password} (said only now).")
    return "see above"
