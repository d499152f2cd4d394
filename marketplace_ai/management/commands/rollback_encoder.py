from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from marketplace_ai.management.console import DatabaseCommand, print_json, runtime_error
from marketplace_ai.models import Encoder


class Command(DatabaseCommand):
    help = (
        "Go back to the encoder that was active before, at once and without a comparison: its "
        "vectors were kept up to date, and its active classifier decides again. Each call goes "
        "back one more promotion; activate_encoder is the way forward."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="print which one it would be, and change nothing"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        # Imported here: they bring numeric libraries, which --help can do without.
        from marketplace_ai.classifier import ArtifactError
        from marketplace_ai.promotion import eligibility, promote
        from marketplace_ai.versions import activation

        active = Encoder.objects.active()
        try:
            target = eligibility.previous_encoder(active)
            version = activation.active_version_id(target)
            if not options["dry_run"]:
                promote.roll_back(expected=active)
        except activation.VersionError as error:
            runtime_error(str(error))
        except ArtifactError as error:
            runtime_error(
                f"The classifier of {target} cannot be used, and nothing was changed: {error}."
            )
        if options["json"]:
            print_json(
                self,
                {
                    "encoder": target.name,
                    "instead_of": str(active),
                    "classifier": version,
                    "active": not options["dry_run"],
                },
            )
            return
        state = "would be active" if options["dry_run"] else "is active"
        decides = (
            f"classifier {version} decides"
            if version
            else "no classifier was fitted for it, so postings go to review until "
            "fit_classifier has run"
        )
        self.stdout.write(
            f"{target} {state} again instead of {active}: {decides}. "
            f"The way forward: activate_encoder {active}."
        )
