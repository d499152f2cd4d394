from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from marketplace_ai.diagnosis import examine, examine_drainer
from marketplace_ai.management.console import print_json


class Command(BaseCommand):
    help = (
        "Look at everything that can be wrong and say its cure: services, trigger, worker, "
        "queue, encoder, exemplars. Ends with 1 when something is."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--drainer",
            action="store_true",
            help="look at nothing but this machine's drainer, as a container's health check does",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        findings = [examine_drainer()] if options["drainer"] else list(examine())
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
