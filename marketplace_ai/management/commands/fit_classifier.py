from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from marketplace_ai.management.console import print_json, progress, refuse
from marketplace_ai.models import ClassifierVersion, Exemplar, ExemplarState


class Command(BaseCommand):
    help = (
        "Fit how the exemplars vote, the probabilities and the thresholds of what may be "
        "automatic, and put the result in force. FILE holds labelled postings like those that "
        "come in (columns category and text, or title and description; 'none' allowed); "
        "without it cross-validation on the exemplars stands in."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--calibration", metavar="FILE", help="CSV file of labelled postings")
        parser.add_argument("--target-precision", type=float, default=0.97, metavar="P")
        parser.add_argument("--confidence", type=float, default=0.95, metavar="C")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        for name in ("target_precision", "confidence"):
            if not 0 < options[name] < 1:
                refuse(f"--{name.replace('_', '-')} must lie between 0 and 1, not {options[name]}.")
        from marketplace_ai.encoding import EncoderError
        from marketplace_ai.lifecycle import fitting
        from marketplace_ai.tables import TableError

        quiet = options["json"]
        exemplars = Exemplar.objects.filter(state=ExemplarState.ACTIVE).count()
        if not exemplars:
            refuse("There are no exemplars yet: run import_exemplars first.")
        try:
            labelled = fitting.read_labelled(options["calibration"])
            with progress("Encoding", exemplars + len(labelled), quiet=quiet) as advance:
                version = fitting.fit(
                    labelled,
                    target_precision=options["target_precision"],
                    confidence=options["confidence"],
                    progress=advance,
                )
        except (TableError, EncoderError, ValueError) as error:
            refuse(str(error))
        if options["json"]:
            print_json(self, {"version": version.pk, **version.figures})
        else:
            self._tell(version)

    def _tell(self, version: ClassifierVersion) -> None:
        self.stdout.write(
            f"Classifier {version.pk} is in force: exemplars of generation "
            f"{version.exemplar_generation}, calibrated on {version.get_calibrated_on_display()}."
        )
        for line in version.figures.get("summary", []):
            self.stdout.write(line)
