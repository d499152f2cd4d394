from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandParser
from django.db import IntegrityError

from marketplace_ai.management import encoder_report, labeled_rows
from marketplace_ai.management.console import DatabaseCommand, runtime_error, print_json, progress, usage_error
from marketplace_ai.management.encoder_options import registered_name
from marketplace_ai.models import EncoderState

if TYPE_CHECKING:
    from marketplace_ai.fitting.compare_encoders import Examined, Rows
    from marketplace_ai.models import Encoder, Promotion


class Command(DatabaseCommand):
    help = (
        "Make a ready encoder the active one, if it earns its place: a classifier for it and one "
        "for the active encoder are fitted on the same exemplars, and must answer the same "
        "labelled rows. It is refused, with the table that says why, where its first choice is "
        "worse, where it decides less without a person, or where its promise does not hold. "
        "FILE is as for fit_classifier; a column 'kind' has the figures told by kind as well. "
        "Workers follow with their next batch. rollback_encoder is the way back."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("encoder", metavar="NAME")
        parser.add_argument("--calibration", metavar="FILE", help="CSV file of labelled postings")
        parser.add_argument(
            "--target-precision",
            type=float,
            metavar="P",
            help="promised precision; as promised today, if left out",
        )
        parser.add_argument(
            "--confidence",
            type=float,
            metavar="C",
            help="confidence of the promise; as today, if left out",
        )
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="compare, and keep the comparison for admin, but leave active what is",
        )
        parser.add_argument(
            "--force",
            action="store_true",
            help="activate it whatever the comparison says; needs --reason",
        )
        parser.add_argument("--reason", default="", metavar="TEXT", help="recorded with it")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        _check(options)
        # Imported here: they bring numeric libraries, which a wrong call can do without.
        from marketplace_ai.classifier import ArtifactError
        from marketplace_ai.encoding import EncoderError
        from marketplace_ai.fitting import compare_encoders
        from marketplace_ai.promotion import rules
        from marketplace_ai.text.csv_files import TableError
        from marketplace_ai.versions import activation

        try:
            encoder = rules.find(registered_name(options["encoder"]))
        except activation.VersionError as error:
            usage_error(str(error))
        if encoder.state == EncoderState.ACTIVE:
            self._already(encoder, as_json=options["json"])
            return
        if reason := rules.why_not(encoder):
            runtime_error(reason)
        made = None
        try:
            rows = self._rows(options)
            total = compare_encoders.to_encode(encoder, rows)
            with progress("Encoding by both", total, quiet=options["json"]) as advance:
                found = compare_encoders.examine(
                    encoder,
                    rows,
                    target_precision=options["target_precision"],
                    confidence=options["confidence"],
                    progress=advance,
                )
            if not options["dry_run"] and (options["force"] or not found.objections):
                made = compare_encoders.promote(found, reason=options["reason"])
        except EncoderError as error:
            runtime_error(str(error))
        except activation.VersionError as error:
            runtime_error(f"{error} Nothing was changed: look at the encoders and compare again.")
        except ArtifactError as error:
            runtime_error(f"Nothing was changed: {error}.")
        except IntegrityError:
            runtime_error("Another change of the encoders came in between; nothing was changed by this one.")
        except (TableError, ImproperlyConfigured, ValueError) as error:
            usage_error(str(error))
        self._tell(found, made, options)

    def _rows(self, options: dict[str, Any]) -> Rows:
        """The labelled rows of the file, else the audited postings, else none; and the promise
        that holds today, where none is asked for."""
        from marketplace_ai.fitting import compare_encoders, fit_classifier
        from marketplace_ai.models import Encoder

        today = compare_encoders.promise_in_force(Encoder.objects.active())
        for name, value in zip(("target_precision", "confidence"), today, strict=True):
            if options[name] is None:
                options[name] = value
        if options["calibration"]:
            return compare_encoders.Rows(*fit_classifier.read_kinds(options["calibration"]))
        audits = fit_classifier.read_audits(options["target_precision"], options["confidence"])
        if not options["json"]:
            for line in labeled_rows.lines(audits):
                self.stdout.write(line)
        return compare_encoders.Rows(audits.labelled, audited=bool(audits.labelled))

    def _already(self, encoder: Encoder, *, as_json: bool) -> None:
        if as_json:
            print_json(self, {"encoder": encoder.name, "active": True, "promotion": None})
        else:
            self.stdout.write(f"{encoder} is the active encoder already.")

    def _tell(self, found: Examined, made: Promotion | None, options: dict[str, Any]) -> None:
        name = found.encoder.name
        if options["json"]:
            print_json(
                self,
                {
                    "encoder": name,
                    "active": made is not None,
                    "promotion": None if made is None else made.kind,
                    "instead_of": None if found.active is None else found.active.name,
                    "reason": options["reason"],
                    "comparison": found.comparison,
                },
            )
        else:
            for line in encoder_report.lines(found.comparison):
                self.stdout.write(line)
        against = encoder_report.objections(found.comparison)
        if made is None and against and not options["force"]:
            runtime_error(
                f"{name} does not become active: {'; '.join(against)}. "
                "--force --reason TEXT activates it all the same."
            )
        if options["json"]:
            return
        for line in against:
            self.stdout.write(f"Against it: {line}.")
        if made is None:
            self.stdout.write(f"{name} would become active; nothing was changed.")
        else:
            self.stdout.write(
                f"{name} is active. Workers follow with their next batch. "
                "The way back: rollback_encoder."
            )


def _check(options: dict[str, Any]) -> None:
    for name in ("target_precision", "confidence"):
        if options[name] is not None and not 0 < options[name] < 1:
            usage_error(f"--{name.replace('_', '-')} must lie between 0 and 1, not {options[name]}.")
    if options["force"] and not options["reason"].strip():
        usage_error("--force needs --reason TEXT: the next one will want to know why.")
