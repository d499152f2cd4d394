from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from marketplace_ai.doctor import workers
from marketplace_ai.doctor.diagnose import examine
from marketplace_ai.management.console import print_json, runtime_error


class Command(BaseCommand):
    help = (
        "Check everything that can be wrong, and print its cure: services, triggers, workers, "
        "queue, encoder, exemplars, classifier, audit. Exits with 1 if a check fails. With --tune, "
        "measure instead which back end of the encoder is fastest on this machine; nothing else "
        "should be running on it."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--worker",
            "--drainer",
            action="store_true",
            help="check only the worker on this machine: the health check of a worker's container",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.add_argument(
            "--tune",
            action="store_true",
            help="measure the encoder's back ends; takes about a minute",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["tune"]:
            self._tune(options["json"])
            return
        findings = [workers.local_worker()] if options["worker"] else list(examine())
        healthy = all(finding.ok for finding in findings)
        if options["json"]:
            print_json(self, {"ok": healthy, "findings": [f.as_dict() for f in findings]})
        else:
            for finding in findings:
                mark = self.style.SUCCESS("ok  ") if finding.ok else self.style.ERROR("FAIL")
                self.stdout.write(f"{mark} {finding.name}: {finding.message}")
                if finding.cure:
                    self.stdout.write(f"     → {finding.cure}")
        if not healthy:
            sys.exit(1)

    def _tune(self, as_json: bool) -> None:
        # Imported here: it brings the encoder's libraries.
        from marketplace_ai.doctor import backend_benchmark
        from marketplace_ai.encoding import EncoderError

        try:
            measurement = backend_benchmark.benchmark_backends(
                lambda line: self.stderr.write(line, style_func=str)
            )
        except EncoderError as error:
            runtime_error(str(error))
        if as_json:
            print_json(self, measurement)
        else:
            self.stdout.write("\n".join(backend_benchmark.report_lines(measurement)))
